/** A code to be typed on another device, and the address where. */
import { Group, Text } from "@mantine/core";
import { useState } from "react";
import type { SignInStep } from "../../host";
import { signInSteps } from "../../messages";
import { CopyButton } from "./CopyButton";
import { NotCopied } from "./NotCopied";
import classes from "./signIn.module.css";
import { StepPanel } from "./StepPanel";

const words = signInSteps.device;

interface Props {
  step: Extract<SignInStep, { kind: "device" }>;
  endsAt: number | undefined;
  onCancel: () => void;
}

export function DeviceStep({ step, endsAt, onCancel }: Props) {
  const { userCode, verificationUrl } = step;
  const link = step.completeUrl ?? verificationUrl;
  const [refused, setRefused] = useState<string>();
  return (
    <StepPanel
      title={words.title}
      text={words.text}
      endsAt={endsAt}
      onCancel={onCancel}
      buttons={
        <CopyButton
          text={link}
          label={signInSteps.copyLink}
          onFailed={() => setRefused(link)}
          testid="sign-in-copy-link"
        />
      }
    >
      <Text size="sm" className={classes.address} data-testid="sign-in-device-address">
        {verificationUrl}
      </Text>
      <Group justify="space-between" wrap="nowrap">
        <output className={classes.deviceCode} aria-label={words.code} data-testid="sign-in-device-code">
          {userCode}
        </output>
        <CopyButton
          text={userCode}
          label={words.copyCode}
          onFailed={() => setRefused(userCode)}
          testid="sign-in-copy-code"
        />
      </Group>
      {refused !== undefined && <NotCopied text={refused} />}
    </StepPanel>
  );
}
