/** What the person has to do, in place of the form. */
import type { ShownStep } from "./useSignIn";
import { BrowserStep } from "./BrowserStep";
import { ChooseStep } from "./ChooseStep";
import { CodeStep } from "./CodeStep";
import { DeviceStep } from "./DeviceStep";

export function SignInStepView({ step, endsAt, isAnswered, answer, onCancel }: ShownStep & { onCancel: () => void }) {
  const common = { isAnswered, onCancel };
  switch (step.kind) {
    case "browser":
      return <BrowserStep step={step} endsAt={endsAt} onCancel={onCancel} />;
    case "device":
      return <DeviceStep step={step} endsAt={endsAt} onCancel={onCancel} />;
    case "one_time_code":
      return <CodeStep step={step} {...common} onCode={(code) => answer({ code })} />;
    case "choose":
      return <ChooseStep step={step} {...common} onChoose={(workspace) => answer({ workspace })} />;
    // The sign-in ends with an error instead.
    case "password":
      return null;
  }
}
