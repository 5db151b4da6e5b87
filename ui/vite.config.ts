import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  plugins: [react()],
  resolve: {
    // The plugin's TypeScript is compiled with the screens, so that no build step lies between them.
    alias: { "tauri-plugin-graphql-session-api": here("../src-tauri/plugin/guest-js/index.ts") },
    // The plugin's imports of Tauri must resolve to the copy that is installed here.
    dedupe: ["@tauri-apps/api"],
  },
  clearScreen: false,
  server: {
    port: 5173,
    strictPort: true,
    host: "127.0.0.1",
    fs: { allow: [here("."), here("../src-tauri/plugin")] },
  },
  build: {
    outDir: "dist",
    // WebKitGTK 2.50 and the web views of macOS 13 and Windows support this level.
    target: ["es2022", "safari16.4"],
    // The bundle is read from the application itself; the default limit is meant for downloads.
    chunkSizeWarningLimit: 1800,
  },
  test: {
    environment: "jsdom",
    setupFiles: ["src/testing/setup.ts"],
    include: ["src/**/*.test.{ts,tsx}"],
    css: false,
    // Above the limit of a single wait in src/testing/setup.ts, so that a failure names what it waited for.
    testTimeout: 60_000,
  },
});
