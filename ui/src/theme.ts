/** Colours and sizes. One accent; every other colour is a token of the component library. */
import { createTheme, type CSSVariablesResolver, type MantineColorSchemeManager } from "@mantine/core";
import { themeQuartz } from "ag-grid-community";
import { forget, recall, remember } from "./remembered";

export const theme = createTheme({
  fontFamily: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif",
  primaryColor: "indigo",
  // White text on shade 7 has a contrast of 5:1 in both schemes.
  primaryShade: { light: 7, dark: 7 },
  defaultRadius: "sm",
  cursorType: "pointer",
  respectReducedMotion: true,
  focusRing: "auto",
  spacing: { xs: "8px", sm: "12px", md: "16px", lg: "24px", xl: "32px" },
  headings: { fontWeight: "600" },
  components: {
    Modal: { styles: { title: { fontWeight: 600 } } },
    Drawer: { styles: { title: { fontWeight: 600 } } },
  },
});

/** Mantine's dimmed, placeholder and error colours are below 4.5:1 on its own backgrounds; these are not. */
export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-dimmed": "#565d66",
    "--mantine-color-placeholder": "#6a717a",
    "--mantine-color-error": "#c0262b",
    "--mantine-color-anchor": "#3b5bdb",
    "--hold-side": "#f6f7f9",
    "--hold-line": "#dfe2e7",
    "--hold-good": "#2b8a3e",
    "--hold-warn": "#e67700",
    "--hold-bad": "#c92a2a",
    "--hold-grey": "#6a717a",
    "--hold-warn-fill": "#fff4d6",
    "--hold-warn-text": "#5c3a00",
    "--hold-pending": "#fff8e6",
    "--hold-failed": "#fff0f0",
  },
  dark: {
    "--mantine-color-body": "#1b1d21",
    "--mantine-color-dimmed": "#a9aeb6",
    "--mantine-color-placeholder": "#989ea7",
    "--mantine-color-error": "#ff8787",
    "--mantine-color-anchor": "#91a7ff",
    "--hold-side": "#212429",
    "--hold-line": "#383c43",
    "--hold-good": "#51cf66",
    "--hold-warn": "#fcc419",
    "--hold-bad": "#ff6b6b",
    "--hold-grey": "#a9aeb6",
    "--hold-warn-fill": "#3d3113",
    "--hold-warn-text": "#ffe8b0",
    "--hold-pending": "#383017",
    "--hold-failed": "#43262a",
  },
});

/** The grid takes its colours from the same variables, so one switch changes both. */
export const gridTheme = themeQuartz.withParams({
  browserColorScheme: "inherit",
  fontFamily: "inherit",
  fontSize: 14,
  headerFontSize: 13,
  headerFontWeight: 600,
  spacing: 6,
  rowHeight: 36,
  headerHeight: 36,
  wrapperBorder: false,
  wrapperBorderRadius: 0,
  columnBorder: false,
  accentColor: "var(--mantine-primary-color-filled)",
  backgroundColor: "var(--mantine-color-body)",
  foregroundColor: "var(--mantine-color-text)",
  headerTextColor: "var(--mantine-color-dimmed)",
  headerBackgroundColor: "var(--mantine-color-body)",
  borderColor: "var(--hold-line)",
  rowHoverColor: "var(--hold-side)",
});

const KEY = "theme";
export type ThemeChoice = "auto" | "light" | "dark";

/** Stores the choice where `first-paint.js` reads it, and follows a choice made in another window. */
export function themeStorage(): MantineColorSchemeManager {
  let follow: ((event: StorageEvent) => void) | undefined;
  return {
    get: (fallback) => recall<ThemeChoice>(KEY, fallback, isThemeChoice),
    set: (value) => remember(KEY, value),
    subscribe: (onUpdate) => {
      follow = (event) => {
        if (event.key === `holdfast.${KEY}`) onUpdate(isThemeChoice(event.newValue) ? event.newValue : "auto");
      };
      window.addEventListener("storage", follow);
    },
    unsubscribe: () => {
      if (follow) window.removeEventListener("storage", follow);
    },
    clear: () => forget(KEY),
  };
}

const isThemeChoice = (value: unknown): value is ThemeChoice =>
  value === "auto" || value === "light" || value === "dark";
