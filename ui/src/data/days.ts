/** Days and moments. A day is the same one in every time zone; a moment is shown and filtered in the person's own. */
import { records as words } from "../messages";

const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const DAY = /^(\d{4})-(\d{2})-(\d{2})/;
/** The length of `2026-11-03T09:41`, the value of an `<input type="datetime-local">` without seconds. */
const MINUTE_LENGTH = 16;

/** For reading: `1 May 2026`. */
export function dayText(value: unknown): string {
  const start = editableDay(value);
  return start === "" ? "" : day.format(new Date(`${start}T00:00:00Z`));
}

/** For an editor: `2026-05-01`, also of a server that sends a time behind it. Empty for what is no day. */
export function editableDay(value: unknown): string {
  const found = DAY.exec(String(value ?? ""));
  return found && !Number.isNaN(Date.parse(`${found[0]}T00:00:00Z`)) ? found[0] : "";
}

/** `null` for an empty text. Throws for what is no day. */
export function parseDay(typed: string): string | null {
  if (typed === "") return null;
  const day = editableDay(typed);
  if (day === "") throw new Error(words.notDate);
  return day;
}

/** For reading, in the person's time zone: `1 May 2026, 09:41`. */
export function momentText(value: unknown): string {
  const at = momentOf(value);
  // Made here and not once: the time zone of the system may change while the client runs.
  return at ? at.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }) : "";
}

/** The value of an `<input type="datetime-local">`: the local time, without a zone. */
export function editableMoment(value: unknown): string {
  const at = momentOf(value);
  if (!at) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, MINUTE_LENGTH);
}

/** `null` for an empty text. Throws for what is no moment. */
export function parseMoment(typed: string): string | null {
  if (typed === "") return null;
  const at = new Date(typed);
  if (Number.isNaN(at.getTime())) throw new Error(words.notDate);
  return at.toISOString();
}

/** The person's midnight at the beginning of a day, as the server writes moments. Throws for what is no day. */
export function midnight(typed: string): string | null {
  const start = parseDay(typed);
  return start && new Date(`${start}T00:00:00`).toISOString();
}

function momentOf(value: unknown): Date | undefined {
  const at = typeof value === "string" ? new Date(value) : undefined;
  return at && !Number.isNaN(at.getTime()) ? at : undefined;
}
