import { fileURLToPath } from "node:url";

import { defineConfig } from "vitest/config";

export default defineConfig({
  // The examples name the package, as its users do.
  resolve: {
    alias: { "tauri-plugin-graphql-session-api": fileURLToPath(new URL("guest-js/index.ts", import.meta.url)) },
  },
  test: { include: ["guest-js/tests/**/*.test.ts"] },
});
