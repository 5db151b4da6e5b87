/** How numbers, times and addresses are written on the screen. */

/** The person's language and country, by which numbers are written and read. */
export const locale = usableLocale(globalThis.navigator?.language);

const wholeNumber = new Intl.NumberFormat(locale);
const minutes = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const seconds = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const dateAndSeconds = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** `1234` becomes `1,234`, or as the person's locale writes it. */
export const count = (value: number) => wholeNumber.format(value);

/** `09:41`, from milliseconds since 1970. */
export const timeOfDay = (at: number) => minutes.format(at);

/** `09:41:07`, from milliseconds since 1970. */
export const timeWithSeconds = (at: number) => seconds.format(at);

/** `3 Nov 2026, 09:41:07`, from milliseconds since 1970. */
export const exactTime = (at: number) => dateAndSeconds.format(at);

/** `https://crm.example.com` becomes `crm.example.com`. */
export const hostName = (origin: string | undefined) => (origin ?? "").replace(/^https?:\/\//, "");

/** English where the system names a language that is none, such as `c`: with it no number could be written. */
export function usableLocale(named: string | undefined): string {
  try {
    return Intl.NumberFormat.supportedLocalesOf(named ?? "")[0] ?? "en";
  } catch {
    return "en";
  }
}
