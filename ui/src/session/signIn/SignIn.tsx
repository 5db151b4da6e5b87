/**
 * A sign-in, on the sign-in page and in the dialog of an ended session: the form, and in its place what the server or the
 * browser asks for on the way.
 */
import { useState } from "react";
import type { DemoAccount, SignInMethod, SignInRequest } from "../../host";
import { signIn as words } from "../../messages";
import { rememberedServers } from "../../remembered";
import { InsecureNote } from "../InsecureMark";
import { firstWrong, missingIn, placed, shownWays, type FieldName, type Problems, type Typed } from "./form";
import { SignInForm, type Focus } from "./SignInForm";
import { SignInStepView } from "./SignInStepView";
import { useServerCheck } from "./useServerCheck";
import { useSignIn } from "./useSignIn";

interface Props {
  server?: string;
  email?: string;
  /** The text of the button, where a password is the only way. */
  submitText?: string;
  /** Called before anything is sent; `false` stops the sign-in. */
  before?: (request: SignInRequest) => Promise<boolean>;
  demo?: DemoAccount;
  submitTestId?: string;
}

export function SignIn({ server, email, submitText, before, demo, submitTestId }: Props) {
  const run = useSignIn();
  const [typed, setTyped] = useState<Typed>({
    server: server ?? rememberedServers()[0] ?? "",
    email: email ?? "",
    password: "",
  });
  const [problems, setProblems] = useState<Problems>({});
  const [way, setWay] = useState<SignInMethod>("password");
  // At first the first empty field has the focus.
  const [focus, setFocus] = useState<Focus>(() => ({ on: emptyIn(typed) }));
  const { check, askNow } = useServerCheck(typed.server);

  // The ways of the server that was checked last stay until the next answer, so that the form does not jump while the
  // address is typed.
  const [methods, setMethods] = useState<SignInMethod[]>();
  if (check.state === "right" && check.server.methods !== methods) setMethods(check.server.methods);
  if (check.state === "other" && methods) setMethods(undefined);

  const fill = ({ server, email, password }: DemoAccount) => {
    setTyped({ server, email, password });
    setProblems({});
  };
  // With a demo server the form is filled in, unless something else was typed or remembered.
  const [offered, setOffered] = useState<DemoAccount>();
  if (demo && demo !== offered) {
    setOffered(demo);
    const isUntouched = (["server", "email", "password"] as const).every(
      (name) => typed[name] === "" || typed[name] === demo[name],
    );
    if (isUntouched) fill(demo);
  }

  const type = (name: FieldName, text: string) => {
    setTyped((old) => ({ ...old, [name]: text }));
    setProblems((old) => ({ ...old, [name]: undefined, way: undefined }));
  };
  const show = (found: Problems, tried: SignInMethod) => {
    setProblems(found);
    setFocus({ on: firstWrong(found) ?? `${tried} button` });
  };
  const forgetPassword = () => setTyped((old) => ({ ...old, password: "" }));

  const start = async (tried: SignInMethod) => {
    if (run.isRunning) return;
    const missing = missingIn(typed, tried);
    if (methods?.length === 0) missing.server = { text: words.noMethods };
    setProblems(missing);
    if (firstWrong(missing)) return show(missing, tried);
    const address = typed.server.trim();
    const request: SignInRequest =
      tried === "password"
        ? { server: address, email: typed.email.trim(), password: typed.password }
        : { server: address, method: tried };
    if (before && !(await before(request))) return;
    setWay(tried);
    const outcome = await run.begin(request);
    switch (outcome.is) {
      case "signed_in":
        return;
      case "cancelled":
        forgetPassword();
        return setFocus({ on: tried === "password" ? "password" : `${tried} button` });
      case "failed":
        if (outcome.afterStep) forgetPassword();
        return show(placed(outcome, tried), tried);
    }
  };

  return (
    <>
      <InsecureNote />
      {run.shown ? (
        <SignInStepView {...run.shown} onCancel={run.cancel} />
      ) : (
        <SignInForm
          typed={typed}
          onType={type}
          problems={problems}
          check={check}
          onAskNow={askNow}
          ways={shownWays(methods)}
          onStart={(tried) => void start(tried)}
          running={run.isRunning ? way : undefined}
          focus={focus}
          onDemo={demo && (() => fill(demo))}
          submitText={submitText}
          submitTestId={submitTestId}
        />
      )}
    </>
  );
}

const emptyIn = ({ server, email }: Typed): FieldName => (!server ? "server" : !email ? "email" : "password");
