import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "@mantine/spotlight/styles.css";
import "./global.css";
import { StrictMode, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import type { Host } from "./host";

/** In the mode `fake` the screens run in any browser, with a host and a server in memory. */
async function chooseHost(): Promise<{ host: Host; beside?: ReactNode }> {
  if (import.meta.env.MODE === "fake") {
    const { startFake } = await import("./testing/startFake");
    return startFake();
  }
  const { createTauriHost } = await import("./host");
  return { host: createTauriHost() };
}

const { host, beside } = await chooseHost();
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <App host={host} />
    {beside}
  </StrictMode>,
);
