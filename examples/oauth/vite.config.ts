import { defineConfig } from "vite";

export default defineConfig({
  clearScreen: false,
  server: {
    port: 1422,
    strictPort: true,
    watch: { ignored: ["**/src-tauri/**"] },
    // Only here, where the package is a link to its folder. An application that installs it does not need this line.
    fs: { allow: [".", "../../src-tauri/plugin"] },
  },
});
