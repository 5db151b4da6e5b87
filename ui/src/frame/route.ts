/** The part of the address after `#/` names the page: an object's plural name, or a page of the client. */
import { useSyncExternalStore } from "react";

export const PANELS = "panels";

export function useRoute(): string {
  return useSyncExternalStore(
    (changed) => {
      window.addEventListener("hashchange", changed);
      return () => window.removeEventListener("hashchange", changed);
    },
    () => window.location.hash.replace(/^#\/?/, ""),
  );
}

export function go(page: string): void {
  window.location.hash = `#/${page}`;
}
