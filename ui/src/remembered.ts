/** Small things kept between starts: theme, servers used before, columns. Never anything secret. */

const PREFIX = "holdfast.";

/** Text is stored unchanged, so that `first-paint.js` can read it; everything else as JSON. */
export function remember(key: string, value: unknown): void {
  try {
    window.localStorage.setItem(PREFIX + key, typeof value === "string" ? value : JSON.stringify(value));
  } catch {
    // Where the storage is full or disabled, only a preference is lost.
  }
}

export function recall<T>(key: string, fallback: T, accepts: (value: unknown) => value is T): T {
  try {
    const text = window.localStorage.getItem(PREFIX + key);
    if (text === null) return fallback;
    if (accepts(text)) return text;
    const value: unknown = JSON.parse(text);
    return accepts(value) ? value : fallback;
  } catch {
    return fallback;
  }
}

export function forget(key: string): void {
  try {
    window.localStorage.removeItem(PREFIX + key);
  } catch {
    // As above.
  }
}

const SERVERS = "servers";
/** Most servers in the list of the sign-in form. */
const SERVERS_KEPT = 8;

const isTextList = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string");

export const rememberedServers = () => recall<string[]>(SERVERS, [], isTextList);

export function rememberServer(origin: string): void {
  if (rememberedServers()[0] === origin) return;
  remember(SERVERS, [origin, ...rememberedServers().filter((other) => other !== origin)].slice(0, SERVERS_KEPT));
}
