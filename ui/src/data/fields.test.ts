import { afterEach, describe, expect, it, vi } from "vitest";
import { usableLocale } from "../format";
import { records as words } from "../messages";
import { edited, type Typed, type Value } from "./editing";
import { fieldText, filterProblem, filterValue, kindOf } from "./fields";
import type { Field } from "./metadata";
import { exampleNumber, parseMicros, parseNumber } from "./numbers";

const fieldOf = (type: string, more: Partial<Field> = {}): Field => ({
  id: type,
  type,
  name: "own",
  label: "Own",
  ...more,
});
const edit = (field: Field, typed: Typed, stored: Value) => {
  const editing = kindOf(field)!.edit!;
  if (editing.as !== "boxes") throw new Error("no boxes");
  return edited(editing, typed, stored, field);
};
const shown = (field: Field, value: Value) =>
  fieldText({ id: "1", own: value }, field, { bySingular: new Map(), visible: [] });

describe("a number", () => {
  it.each([
    ["en", "1,234", 1234],
    ["en", "1,234,567.5", 1234567.5],
    ["en", "20.5", 20.5],
    ["en", ".5", 0.5],
    ["en", "−3", -3],
    ["de", "1.234,56", 1234.56],
    ["de", "20,5", 20.5],
    ["de", "1,234", 1.234],
    ["fr", "1\u202f234,5", 1234.5],
    ["fr", "1 234,5", 1234.5],
    ["de-CH", "1'234.5", 1234.5],
    ["en-IN", "12,34,567", 1234567],
    ["ar-EG", "٢٠٫٥", 20.5],
  ])("in the locale %s, %s is %d", (locale, typed, value) => {
    expect(parseNumber(typed, locale)).toBe(value);
  });

  it.each([
    ["en", "20,5"],
    ["en", "1.234,56"],
    ["en", "1,5"],
    ["en", "1,23,4"],
    ["en", "-"],
    ["en", "0x10"],
    ["en", "1e3"],
    ["en", "Infinity"],
    ["de", "1,234.5"],
    ["de", "1.5"],
    ["fr", "1.5"],
  ])("in the locale %s, %s is no number and never another one", (locale, typed) => {
    const problem = words.notNumber(exampleNumber(locale));
    expect(() => parseNumber(typed, locale)).toThrow(problem);
    expect(() => parseMicros(typed, locale)).toThrow(problem);
  });

  it.each(["en", "de", "fr", "de-CH", "en-IN", "ar-EG", "es", "pl"])(
    "that the words of a problem give as an example in the locale %s is one",
    (locale) => expect(parseNumber(exampleNumber(locale), locale)).toBe(1234.5),
  );

  it("with more digits than are kept is refused, and not rounded", () => {
    expect(() => parseNumber("0.12345678901234567", "en")).toThrow(words.tooManyDigits);
    expect(() => parseMicros("0.0000004", "en")).toThrow(words.tooManyDigits);
    expect(() => parseMicros("99999999999.5", "en")).toThrow(words.tooManyDigits);
    expect(parseMicros("0.000004", "en")).toBe(4);
  });

  it.each([["C"], ["not a language"], [undefined]])("is written in English where the system says “%s”", (named) => {
    expect(usableLocale(named)).toBe("en");
    expect(usableLocale("de-AT")).toBe("de-AT");
  });

  it("that is small is shown", () => {
    expect(shown(fieldOf("NUMBER"), 0.0004)).toBe("0.0004");
    expect(shown(fieldOf("CURRENCY"), { amountMicros: 4, currencyCode: "EUR" })).toBe("0.000004 EUR");
  });

  it("that a person's locale does not know finds nothing in a filter", () => {
    expect(filterValue("20,5", "number")).toBeUndefined();
    expect(filterValue("1,234", "number")).toBe(1234);
  });
});

describe("a date", () => {
  afterEach(() => void vi.unstubAllEnvs());

  it.each(["America/New_York", "Pacific/Auckland", "UTC"])("is the same day in %s", (other) => {
    vi.stubEnv("TZ", other);
    expect(shown(fieldOf("DATE"), "2026-05-01")).toBe("1 May 2026");
    expect(edit(fieldOf("DATE"), { "": "2026-05-02" }, "2026-05-01")).toBe("2026-05-02");
    expect(filterValue("2026-05-01", "day")).toBe("2026-05-01");
  });

  it("of a year that is too long is refused, in an editor and in a filter", () => {
    expect(() => edit(fieldOf("DATE"), { "": "20261-05-02" }, "2026-05-01")).toThrow(words.notDate);
    expect(() => edit(fieldOf("DATE_TIME"), { "": "20261-05-02T09:41" }, null)).toThrow(words.notDate);
    expect([filterValue("20261-05-02", "day"), filterProblem("20261-05-02", "day")]).toEqual([
      undefined,
      words.notDate,
    ]);
  });

  it("with a time is filtered from the person's midnight", () => {
    vi.stubEnv("TZ", "America/New_York");
    expect(filterValue("2026-05-01", "moment")).toBe("2026-05-01T04:00:00.000Z");
    vi.stubEnv("TZ", "Pacific/Auckland");
    expect(filterValue("2026-05-01", "moment")).toBe("2026-04-30T12:00:00.000Z");
  });
});

describe("a text", () => {
  it("keeps its line breaks, and the kind that it had", () => {
    expect(edit(fieldOf("TEXT"), { "": "one\ntwo!" }, "one\ntwo")).toBe("one\ntwo!");
    expect(edit(fieldOf("TEXT"), { "": "one\ntwo!" }, "one\r\ntwo")).toBe("one\r\ntwo!");
  });
});

describe("a name", () => {
  it("has a box for each part, so that two first names stay two", () => {
    const stored = { firstName: "Mary Jane", lastName: "Watsen" };
    expect(edit(fieldOf("FULL_NAME"), { lastName: "Watson" }, stored)).toEqual({
      firstName: "Mary Jane",
      lastName: "Watson",
    });
    expect(edit(fieldOf("FULL_NAME"), { lastName: "Watson" }, { firstName: "", lastName: "Watsen" })).toEqual({
      firstName: "",
      lastName: "Watson",
    });
  });
});

describe("a phone", () => {
  const stored = {
    primaryPhoneNumber: "5550001",
    primaryPhoneCallingCode: "+44",
    primaryPhoneCountryCode: "GB",
    additionalPhones: [{ number: "5550002" }],
  };
  const others = { additionalPhones: stored.additionalPhones };

  it.each([
    ["+10987654321", { primaryPhoneNumber: "+10987654321", primaryPhoneCallingCode: "", primaryPhoneCountryCode: "" }],
    ["+1 0987654321", { primaryPhoneNumber: "0987654321", primaryPhoneCallingCode: "+1", primaryPhoneCountryCode: "" }],
    ["+44 5550003", { primaryPhoneNumber: "5550003", primaryPhoneCallingCode: "+44", primaryPhoneCountryCode: "GB" }],
    ["5550003", { primaryPhoneNumber: "5550003", primaryPhoneCallingCode: "+44", primaryPhoneCountryCode: "GB" }],
    ["", { primaryPhoneNumber: "", primaryPhoneCallingCode: "", primaryPhoneCountryCode: "" }],
  ])("typed as “%s” drops the stored code only where it brings its own, or is empty", (typed, expected) => {
    expect(edit(fieldOf("PHONES"), { primaryPhoneNumber: typed }, stored)).toEqual({ ...expected, ...others });
  });
});

describe("an amount", () => {
  const field = fieldOf("CURRENCY", { defaultValue: { amountMicros: null, currencyCode: "'EUR'" } });

  it("takes the field's default currency where it has none", () => {
    expect(edit(field, { amountMicros: "12.5" }, null)).toEqual({ amountMicros: 12_500_000, currencyCode: "EUR" });
    expect(edit(field, { amountMicros: "1" }, { amountMicros: null, currencyCode: "GBP" })).toEqual({
      amountMicros: 1_000_000,
      currencyCode: "GBP",
    });
  });

  it("that is empty, touched and left empty stays as it is", () => {
    const stored = { amountMicros: null, currencyCode: "" };
    expect(edit(field, { amountMicros: "" }, stored)).toBe(stored);
    expect(edit(field, { amountMicros: "" }, null)).toBeNull();
  });

  it("that servers send as a text is read and kept", () => {
    const stored = { amountMicros: "9007199254740993000", currencyCode: "EUR" };
    expect(edit(field, { currencyCode: "usd" }, stored)).toEqual({ ...stored, currencyCode: "USD" });
  });
});

it.each(["TEXT", "NUMBER", "DATE", "DATE_TIME", "SELECT"])(
  "a field of type %s that must not be null can't be emptied",
  (type) => {
    const field = fieldOf(type, { isNullable: false, options: [{ value: "A", label: "A" }] });
    const stored = { TEXT: "x", NUMBER: 1, DATE: "2026-05-01", DATE_TIME: "2026-05-01T00:00:00.000Z", SELECT: "A" }[
      type
    ];
    expect(() => edit(field, { "": "" }, stored)).toThrow(words.required);
  },
);
