/**
 * Numbers as the person's locale writes them. A text that is no number there is refused: it is never taken for another
 * number. Amounts are kept as whole millionths, and so are worked out on their digits.
 */
import { locale } from "../format";
import { records as words } from "../messages";

/** Digits after the point of an amount that is stored in millionths. */
const MICRO_DIGITS = 6;
/** Most significant digits that every JavaScript number, and the server's Float, keeps. */
const KEPT_DIGITS = 15;
/** Digits that tell every number from its neighbours: a stored number is shown as it is. */
const ALL_DIGITS = 17;
/** What people type for a minus sign. */
const MINUS = /^[-\u2212\u2012\u2013]/;
/** The spaces with which locales part groups of digits. */
const SPACES = "\\s\\u00a0\\u202f\\u2009";

/** Shows both signs of a locale: the one between groups of digits, and the decimal one. */
const EXAMPLE = 1234.5;

const grouped = new Intl.NumberFormat(locale, { maximumSignificantDigits: ALL_DIGITS });
const plain = new Intl.NumberFormat(locale, { maximumSignificantDigits: ALL_DIGITS, useGrouping: false });

/** For reading: `1234.5` becomes `1,234.5`, or `1.234,5`. */
export const numberText = (value: number): string => grouped.format(value);

/** For an editor, without groups. */
export const editableNumber = (value: number): string => plain.format(value);

/** A number as a person may type it: `1,234.5`, or `1.234,5`. */
export const exampleNumber = (language = locale): string => new Intl.NumberFormat(language).format(EXAMPLE);

/** The number of a typed text; `null` for an empty one. Throws for a text that is not a number. */
export function parseNumber(typed: string, language = locale): number | null {
  const digits = decimalOf(typed, language);
  if (digits === null) return null;
  if (significant(digits) > KEPT_DIGITS) throw new Error(words.tooManyDigits);
  return Number(digits);
}

/** The millionths of a typed amount; `null` for an empty text. Throws for a text that is not an amount. */
export function parseMicros(typed: string, language = locale): number | null {
  const digits = decimalOf(typed, language);
  if (digits === null) return null;
  const [whole = "", fraction = ""] = digits.split(".");
  const kept = fraction.replace(/0+$/, "");
  if (kept.length > MICRO_DIGITS) throw new Error(words.tooManyDigits);
  const micros = Number(whole + kept.padEnd(MICRO_DIGITS, "0"));
  if (!Number.isSafeInteger(micros)) throw new Error(words.tooManyDigits);
  // No negative zero: JSON does not have it.
  return micros === 0 ? 0 : micros;
}

/** An amount in millionths for reading; empty where there is none. Servers send it as a number or as a text. */
export function microsText(micros: unknown): string {
  const digits = decimalOfMicros(micros);
  return digits === undefined ? "" : numberText(Number(digits));
}

/** An amount in millionths for an editor. */
export function editableMicros(micros: unknown): string {
  return decimalOfMicros(micros)?.replace(".", signs(locale).decimal) ?? "";
}

/** `1234567` becomes `1.234567`. `undefined` for what is no whole number of millionths. */
function decimalOfMicros(micros: unknown): string | undefined {
  if (micros === null || micros === undefined || micros === "") return undefined;
  const [, minus = "", digits = ""] = /^(-?)(\d+)$/.exec(String(micros)) ?? [];
  if (digits === "") {
    const value = Number(micros) / 10 ** MICRO_DIGITS;
    return Number.isFinite(value) ? String(value) : undefined;
  }
  const padded = digits.padStart(MICRO_DIGITS + 1, "0");
  const fraction = padded.slice(-MICRO_DIGITS).replace(/0+$/, "");
  return minus + padded.slice(0, -MICRO_DIGITS) + (fraction && `.${fraction}`);
}

/** A typed number with a point and no groups; `null` for an empty text. Throws for what is not a number. */
function decimalOf(typed: string, language: string): string | null {
  const { decimal, group, digits } = signs(language);
  const text = typed.trim();
  if (text === "") return null;
  const minus = MINUS.test(text) ? "-" : "";
  const unsigned = [...text.replace(minus ? MINUS : /^\+/, "")]
    .map((sign) => (digits.includes(sign) ? String(digits.indexOf(sign)) : sign))
    .join("");
  const between = `[${escaped(group)}${SPACES}]`;
  const shape = new RegExp(
    `^(\\d+|\\d{1,3}(?:${between}\\d{2,3})*${between}\\d{3})?(?:${escaped(decimal)}(\\d*))?$`,
    "u",
  );
  const [, whole = "", fraction = ""] = shape.exec(unsigned) ?? [];
  if (whole === "" && fraction === "") throw new Error(words.notNumber(exampleNumber(language)));
  const plainWhole = whole.replace(/\D/g, "").replace(/^0+(?=\d)/, "") || "0";
  return minus + plainWhole + (fraction && `.${fraction}`);
}

/** How many digits of a number say something: none of the zeros at its ends. */
function significant(digits: string): number {
  const all = digits.replace(/^-/, "");
  const core = all.includes(".") ? all.replace(/0+$/, "") : all;
  return core.replace(".", "").replace(/^0+/, "").replace(/0+$/, "").length;
}

/** The signs with which a locale writes numbers. */
function signs(language: string): { decimal: string; group: string; digits: string[] } {
  const parts = new Intl.NumberFormat(language).formatToParts(1_234_567.5);
  const part = (type: string) => parts.find((one) => one.type === type)?.value;
  const digit = new Intl.NumberFormat(language, { useGrouping: false });
  return {
    decimal: part("decimal") ?? ".",
    // Switzerland's typographic apostrophe is on no keyboard.
    group: (part("group") ?? "").replace("’", "’'"),
    digits: Array.from({ length: 10 }, (_, value) => digit.format(value)),
  };
}

const escaped = (signs: string) => signs.replace(/[\\\]^.*+?$(){}|/-]/g, "\\$&");
