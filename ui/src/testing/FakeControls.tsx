/**
 * Buttons that set the fake session to each state (also Alt+1 to Alt+9), and lists: of errors for its calls, of the ways to
 * sign in, and of what the browser does.
 */
import { useEffect, useState } from "react";
import type { Code, SignInMethod, Status } from "../host";
import type { FakeHost } from "./fakeHost";
import { BROWSERS, type FakeBrowser } from "./fakeSignIn";

const FAILURES: (Code | "none")[] = ["none", "unreachable", "maybe_executed", "access_denied", "timed_out"];
const METHODS: SignInMethod[][] = [["browser", "password"], ["password"], ["browser"], ["device"], []];

export function FakeControls({ host, states }: { host: FakeHost; states: Record<string, () => Partial<Status>> }) {
  const [shown, setShown] = useState(true);
  const names = Object.keys(states);

  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const name = event.altKey && names[Number(event.key) - 1];
      if (name) host.set(states[name]!());
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [host, names, states]);

  return (
    <div
      style={{
        position: "fixed",
        right: 8,
        bottom: 44,
        zIndex: 1000,
        display: "flex",
        flexWrap: "wrap",
        gap: 4,
        maxWidth: 420,
        padding: 4,
        background: "Canvas",
        border: "1px solid",
        fontSize: 12,
      }}
    >
      <button onClick={() => setShown(!shown)}>fake</button>
      {shown &&
        names.map((name, index) => (
          <button key={name} onClick={() => host.set(states[name]!())} title={`Alt+${index + 1}`}>
            {name}
          </button>
        ))}
      {shown && (
        <select
          aria-label="calls fail with"
          onChange={(event) => host.failWith(event.target.value === "none" ? undefined : (event.target.value as Code))}
        >
          {FAILURES.map((code) => (
            <option key={code}>{code}</option>
          ))}
        </select>
      )}
      {shown && (
        <select
          aria-label="ways to sign in"
          defaultValue={host.signIns.methods.join(", ")}
          onChange={(event) =>
            host.signIns.offer(METHODS.find((methods) => methods.join(", ") === event.target.value) ?? [])
          }
        >
          {METHODS.map((methods) => (
            <option key={methods.join(", ")} value={methods.join(", ")}>
              {methods.join(", ") || "no way"}
            </option>
          ))}
        </select>
      )}
      {shown && (
        <select
          aria-label="the browser"
          onChange={(event) => host.signIns.letBrowser(event.target.value as FakeBrowser)}
        >
          {BROWSERS.map((browser) => (
            <option key={browser} value={browser}>
              the browser {browser}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}
