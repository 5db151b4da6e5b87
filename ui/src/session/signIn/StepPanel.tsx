/** The frame of a step: it takes the focus, Escape cancels, and a countdown says how long there is. */
import { Button, Group, Stack, Text, VisuallyHidden } from "@mantine/core";
import { useEffect, useId, useRef, type ReactNode } from "react";
import { signInSteps as words } from "../../messages";
import { useCountdown } from "../session";
import classes from "./signIn.module.css";

interface Props {
  title: string;
  /** What to do, below the title. It is read out when it changes. */
  text: string;
  /** When the step ends by itself, in milliseconds since 1970. */
  endsAt?: number;
  /** Before Cancel. */
  buttons?: ReactNode;
  /** The button that goes on, after Cancel. */
  action?: ReactNode;
  onCancel: () => void;
  /** Whether a field in the panel takes the focus instead. */
  hasField?: boolean;
  children?: ReactNode;
}

export function StepPanel({ title, text, endsAt, buttons, action, onCancel, hasField = false, children }: Props) {
  const panel = useRef<HTMLDivElement>(null);
  const titleId = useId();
  const secondsLeft = useCountdown(endsAt);
  useEffect(() => {
    if (!hasField) panel.current?.focus();
  }, [hasField]);
  useEscape(panel, onCancel);
  return (
    <div
      ref={panel}
      role="group"
      aria-labelledby={titleId}
      tabIndex={-1}
      data-autofocus={!hasField || undefined}
      className={classes.panel}
      data-testid="sign-in-panel"
    >
      <Stack gap="md">
        <div>
          <Text id={titleId} fw={600}>
            {title}
          </Text>
          <Text c="dimmed" size="sm" mt={4} role="status">
            {text}
          </Text>
        </div>
        {children}
        <Group justify="space-between" mih={36}>
          <Text size="sm" c="dimmed" className={classes.countdown} role="timer" data-testid="sign-in-countdown">
            {secondsLeft !== undefined && words.timeLeft(secondsLeft)}
          </Text>
          <VisuallyHidden role="status" data-testid="sign-in-time-read-out">
            {secondsLeft !== undefined && words.minutesLeft(secondsLeft)}
          </VisuallyHidden>
          <Group gap="sm">
            {buttons}
            <Button variant="default" onClick={onCancel} data-testid="sign-in-cancel">
              {words.cancel}
            </Button>
            {action}
          </Group>
        </Group>
      </Stack>
    </div>
  );
}

/** Calls back for Escape, except in another dialog that is open over the panel. */
function useEscape(panel: { current: HTMLElement | null }, onEscape: () => void): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.isComposing) return;
      const dialog = event.target instanceof Element ? event.target.closest("[role=dialog]") : null;
      if (!dialog || dialog.contains(panel.current)) onEscape();
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [panel, onEscape]);
}
