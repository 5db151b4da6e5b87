/** One sign-in from its start to its end: the step that the person is at, and the answer to it. */
import { useCallback, useEffect, useRef, useState } from "react";
import type { Code, SignInRequest, SignInStep, StepAnswer } from "../../host";
import { codeOf, errorText, ReadableError } from "../../errorText";
import { signIn as words } from "../../messages";
import { useHost } from "../session";

const SECOND_MS = 1000;

/** What the person has to do now. */
export interface ShownStep {
  step: SignInStep;
  /** When the step ends by itself, in milliseconds since 1970. */
  endsAt?: number;
  /** Whether the answer is on its way. */
  isAnswered: boolean;
  answer: (answer: StepAnswer) => void;
}

export type Outcome =
  | { is: "signed_in" }
  | { is: "cancelled" }
  /** `afterStep`: the person has already done something since the form. */
  | { is: "failed"; code?: Code; text: string; afterStep: boolean };

export interface SignInRun {
  isRunning: boolean;
  /** Nothing before the server has asked for anything. */
  shown: ShownStep | undefined;
  /** Signs in. It never rejects. One that still runs is cancelled. */
  begin: (request: SignInRequest) => Promise<Outcome>;
  cancel: () => void;
}

/** Runs one sign-in at a time. It is cancelled when the caller leaves the screen. */
export function useSignIn(): SignInRun {
  const host = useHost();
  const [isRunning, setRunning] = useState(false);
  const [shown, setShown] = useState<ShownStep>();
  const running = useRef<AbortController>(undefined);
  const cancel = useCallback(() => running.current?.abort(), []);
  useEffect(() => cancel, [cancel]);

  const begin = async (request: SignInRequest): Promise<Outcome> => {
    cancel();
    const controller = new AbortController();
    const { signal } = controller;
    running.current = controller;
    const isCurrent = () => running.current === controller && !signal.aborted;
    const end = (outcome: Outcome): Outcome => {
      if (running.current === controller) {
        setShown(undefined);
        setRunning(false);
      }
      return outcome;
    };
    let afterStep = false;

    const onStep = (step: SignInStep): Promise<StepAnswer> | undefined => {
      if (!isCurrent()) return undefined;
      afterStep = true;
      // Only a sign-in by password needs one, and it has one from its start.
      if (step.kind === "password") throw new ReadableError(words.missingPassword);
      const endsAt = "expiresInSeconds" in step ? Date.now() + step.expiresInSeconds * SECOND_MS : undefined;
      if (endsAt !== undefined) {
        setShown({ step, endsAt, isAnswered: false, answer: () => undefined });
        return undefined;
      }
      return new Promise((resolve) => {
        const answer = (given: StepAnswer) => {
          setShown((now) => now && { ...now, isAnswered: true });
          resolve(given);
        };
        setShown({ step, isAnswered: false, answer });
      });
    };

    setRunning(true);
    setShown(undefined);
    try {
      await host.signIn(request, { onStep, signal });
      // The step stays on the screen until the new status takes the whole sign-in away.
      return { is: "signed_in" };
    } catch (error) {
      const code = codeOf(error);
      if (signal.aborted || code === "sign_in_cancelled") return end({ is: "cancelled" });
      return end({ is: "failed", code, text: errorText(error), afterStep });
    }
  };
  return { isRunning, shown, begin, cancel };
}
