import "@testing-library/jest-dom/vitest";
import { cleanup } from "@testing-library/react";
import { afterEach, beforeEach } from "vitest";

// What jsdom lacks and the component library asks for.
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

// jsdom lays nothing out; the table only draws what fits, so it is given a window.
for (const [name, size] of Object.entries({
  clientWidth: 1600,
  offsetWidth: 1600,
  clientHeight: 800,
  offsetHeight: 800,
}))
  Object.defineProperty(HTMLElement.prototype, name, { configurable: true, get: () => size });
// Elements count as visible where they have a place.
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
afterEach(() => cleanup());
