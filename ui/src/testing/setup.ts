import "@testing-library/jest-dom/vitest";
import { notifications } from "@mantine/notifications";
import { cleanup, configure } from "@testing-library/react";
import { afterEach, beforeEach } from "vitest";

/** How long a test waits for the screen, in milliseconds. A busy machine takes several times as long as an idle one. */
const WAIT_LIMIT_MS = 15_000;
configure({ asyncUtilTimeout: WAIT_LIMIT_MS });

// The component library needs these, and jsdom does not have them.
window.matchMedia ??= (query: string) =>
  ({
    matches: false,
    media: query,
    onchange: null,
    addListener: () => undefined,
    removeListener: () => undefined,
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
    dispatchEvent: () => false,
  }) as MediaQueryList;
window.ResizeObserver ??= class {
  observe() {}
  unobserve() {}
  disconnect() {}
};
Element.prototype.scrollIntoView ??= () => undefined;

// jsdom has no layout. The table draws only the rows that fit, so every element gets a size.
for (const [name, size] of Object.entries({
  clientWidth: 1600,
  offsetWidth: 1600,
  clientHeight: 800,
  offsetHeight: 800,
}))
  Object.defineProperty(HTMLElement.prototype, name, { configurable: true, get: () => size });
// The component library takes an element without an offset parent for hidden.
Object.defineProperty(HTMLElement.prototype, "offsetParent", {
  configurable: true,
  get(this: HTMLElement) {
    return this.parentNode;
  },
});

beforeEach(() => {
  window.localStorage.clear();
  window.location.hash = "";
});
afterEach(() => {
  cleanup();
  // Messages are kept outside of the screens. An Undo of one test would lie beside that of the next one, and undo nothing.
  notifications.clean();
  notifications.cleanQueue();
});
