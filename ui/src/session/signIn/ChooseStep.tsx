/** The workspaces of a person who belongs to more than one. */
import { Stack, Text, UnstyledButton } from "@mantine/core";
import { useState } from "react";
import type { SignInStep } from "../../host";
import { signInSteps } from "../../messages";
import classes from "./signIn.module.css";
import { StepPanel } from "./StepPanel";

const words = signInSteps.choose;

interface Props {
  step: Extract<SignInStep, { kind: "choose" }>;
  /** Whether the choice is on its way to the server. */
  isAnswered: boolean;
  onChoose: (place: number) => void;
  onCancel: () => void;
}

export function ChooseStep({ step, isAnswered, onChoose, onCancel }: Props) {
  const [chosen, setChosen] = useState<number>();
  return (
    <StepPanel title={words.title} text={words.text} onCancel={onCancel}>
      <Stack gap="xs" className={classes.workspaces} role="list">
        {step.workspaces.map(({ name, origin }, place) => (
          <div key={origin} role="listitem">
            <UnstyledButton
              className={classes.workspace}
              disabled={isAnswered}
              aria-busy={isAnswered && chosen === place}
              onClick={() => {
                setChosen(place);
                onChoose(place);
              }}
              data-testid="sign-in-workspace"
            >
              <Text fw={500} truncate>
                {name}
              </Text>
              {/* Never cut off: the end says whose server it is. */}
              <Text size="sm" c="dimmed" className={classes.address}>
                {origin}
              </Text>
            </UnstyledButton>
          </div>
        ))}
      </Stack>
    </StepPanel>
  );
}
