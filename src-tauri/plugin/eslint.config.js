import js from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config({ ignores: ["dist-js", "node_modules", "permissions"] }, js.configs.recommended, {
  files: ["**/*.ts"],
  extends: [...tseslint.configs.strictTypeChecked],
  languageOptions: { parserOptions: { projectService: true } },
  rules: {
    // `retryAfterMs: number` in a template and the like are meant.
    "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
    // Every switch names every case, so that a new kind of message is an error where it is not handled.
    "@typescript-eslint/switch-exhaustiveness-check": [
      "error",
      { allowDefaultCaseForExhaustiveSwitch: false, considerDefaultExhaustiveForUnions: false },
    ],
  },
});
