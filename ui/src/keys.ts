/** Every action's key, in one place for the listeners and the menus. */

export const keys = {
  palette: "mod+K",
  newRecord: "mod+N",
  newWindow: "mod+shift+N",
  reloadAll: "mod+shift+R",
  panels: "mod+shift+P",
  session: "mod+shift+J",
  theme: "mod+shift+L",
  // Not with Q, which elsewhere means "quit".
  signOut: "mod+shift+O",
  tryNow: "mod+shift+T",
  filter: "mod+F",
  sort: "mod+shift+S",
  open: "mod+Enter",
  edit: "F2",
  delete: "Delete",
  copy: "mod+C",
  undo: "mod+Z",
  pending: "mod+shift+U",
  object: (index: number) => `mod+${index + 1}`,
} as const;

/** Objects with a key of their own: `mod+1` to `mod+9`. */
export const OBJECT_KEYS = 9;

const isMac = /Mac|iPhone|iPad/.test(globalThis.navigator?.userAgent ?? "");

/** In the form of a menu: `Ctrl+Shift+N`, on a Mac `⌘⇧N`. */
export function keyText(key: string): string {
  const parts = key.split("+").map((part) => {
    if (part === "mod") return isMac ? "⌘" : "Ctrl";
    if (part === "shift") return isMac ? "⇧" : "Shift";
    return part;
  });
  return parts.join(isMac ? "" : "+");
}

/** In the form of `aria-keyshortcuts`. */
export const ariaKey = (key: string) => key.replace("mod", isMac ? "Meta" : "Control").replace("shift", "Shift");
