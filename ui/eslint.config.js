import js from "@eslint/js";
import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

const hostOnly = {
  patterns: [
    {
      group: ["@tauri-apps/*", "tauri-plugin-graphql-session-api"],
      message: "Only src/host.ts speaks to Tauri: take the Host from useHost().",
    },
  ],
};

export default tseslint.config(
  { ignores: ["dist", "node_modules"] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  reactHooks.configs.flat.recommended,
  {
    files: ["src/**/*.{ts,tsx}"],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      "no-restricted-imports": ["error", hostOnly],
      // Every switch names every case, so that a new phase, editor or operator is an error where it is not handled.
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { allowDefaultCaseForExhaustiveSwitch: false, considerDefaultExhaustiveForUnions: false },
      ],
    },
  },
  { files: ["src/host.ts"], rules: { "no-restricted-imports": "off" } },
  { files: ["public/*.js"], languageOptions: { globals: { window: "readonly", document: "readonly" } } },
);
