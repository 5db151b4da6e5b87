/** The session's status and the host, for every screen. */
import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import type { Host, Status } from "../host";
import { rememberServer } from "../remembered";

interface SessionContext {
  host: Host;
  status: Status;
}

const Context = createContext<SessionContext | undefined>(undefined);

/** Until the host's first status. */
const OPENING: Status = { account: "default", revision: -1, phase: "opening", storage: { state: "saved" } };

export function SessionProvider({ host, children }: { host: Host; children: ReactNode }) {
  const [status, setStatus] = useState<Status>(OPENING);
  useEffect(() => {
    let stop: (() => void) | undefined;
    let gone = false;
    const show = (next: Status) => !gone && setStatus(next);
    void host.onChange(show).then((end) => (gone ? end() : (stop = end)));
    return () => {
      gone = true;
      stop?.();
    };
  }, [host]);
  const { phase, server } = status;
  useEffect(() => {
    if (phase === "signed_in" && server) rememberServer(server);
  }, [phase, server]);
  const value = useMemo(() => ({ host, status }), [host, status]);
  return <Context value={value}>{children}</Context>;
}

export function useSession(): SessionContext {
  const context = useContext(Context);
  if (!context) throw new Error("useSession outside of SessionProvider");
  return context;
}

export const useHost = () => useSession().host;

/** Seconds until this time, in milliseconds since 1970; counted down once a second. */
export function useCountdown(until: number | undefined): number | undefined {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (until === undefined) return;
    const tick = () => setNow(Date.now());
    const first = setTimeout(tick, 0);
    const timer = setInterval(tick, 1000);
    return () => {
      clearTimeout(first);
      clearInterval(timer);
    };
  }, [until]);
  return until === undefined ? undefined : Math.max(0, Math.ceil((until - now) / 1000));
}

/** Whether `on` has been true for `delay` milliseconds. */
export function useHeld(on: boolean, delay: number): boolean {
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (!on) return;
    const timer = setTimeout(() => setHeld(true), delay);
    return () => {
      clearTimeout(timer);
      setHeld(false);
    };
  }, [on, delay]);
  return on && held;
}
