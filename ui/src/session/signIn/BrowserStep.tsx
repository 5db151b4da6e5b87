/** The browser is open, and the sign-in goes on there. */
import { useState } from "react";
import type { SignInStep } from "../../host";
import { signInSteps } from "../../messages";
import { useHeld } from "../session";
import { CopyButton } from "./CopyButton";
import { NotCopied } from "./NotCopied";
import { StepPanel } from "./StepPanel";

/** Systems do not say that no browser came up. A person who sees none after this time, in milliseconds, needs the link. */
const LINK_AFTER_MS = 1_000;

const words = signInSteps.browser;

interface Props {
  step: Extract<SignInStep, { kind: "browser" }>;
  endsAt: number | undefined;
  onCancel: () => void;
}

export function BrowserStep({ step, endsAt, onCancel }: Props) {
  const isLate = useHeld(true, LINK_AFTER_MS);
  const [isRefused, setRefused] = useState(false);
  return (
    <StepPanel
      title={words.title}
      text={step.notOpened ? words.notOpened : words.text}
      endsAt={endsAt}
      onCancel={onCancel}
      buttons={
        (isLate || step.notOpened) && (
          <CopyButton
            text={step.url}
            label={signInSteps.copyLink}
            onFailed={() => setRefused(true)}
            testid="sign-in-copy-link"
          />
        )
      }
    >
      {isRefused && <NotCopied text={step.url} />}
    </StepPanel>
  );
}
