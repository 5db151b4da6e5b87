/** The form of a filter says what is wrong with a typed text. */
import { fireEvent } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { records as words } from "../messages";
import { calls, records, screen, start, waitFor } from "../testing/render";

/** Opens the form of a filter for companies. */
async function formOfCompanies() {
  const started = start();
  await records();
  await started.user.click(screen.getByTestId("object-companies"));
  await screen.findByText("Lovelace Works");
  await started.user.click(screen.getByTestId("filter"));
  await screen.findByTestId("filter-field");
  return started;
}

const value = () => screen.getByTestId("filter-value");

function type(field: string, text: string): void {
  fireEvent.change(screen.getByTestId("filter-field"), { target: { value: field } });
  fireEvent.change(value(), { target: { value: text } });
}

const saysNothing = () => {
  expect(value()).not.toHaveAttribute("aria-invalid");
  expect(screen.queryByRole("alert", { hidden: true })).toBeNull();
};
async function says(sentence: string): Promise<void> {
  await waitFor(() => expect(value()).toHaveAccessibleDescription(sentence));
  expect(value()).toHaveAttribute("aria-invalid", "true");
  expect(screen.getByRole("alert", { hidden: true })).toHaveTextContent(sentence);
  expect(screen.getByTestId("filter-apply")).toBeDisabled();
}

describe("in the form of a filter", () => {
  afterEach(() => void vi.restoreAllMocks());

  it("a text that is no number, or no date, says so with what to write instead", async () => {
    const { host, user } = await formOfCompanies();
    const notNumber = "This is not a number. Write it like 1,234.5.";
    for (const [field, wrong, sentence, right] of [
      ["employees", "20,5", notNumber, "20.5"],
      ["annualRecurringRevenue", "1.234,56", notNumber, "1,234.56"],
      ["annualRecurringRevenue", "0.0000001", words.tooManyDigits, "0.000001"],
      ["founded", "20261-05-01", words.notDate, "2026-05-01"],
      ["createdAt", "20261-05-01", words.notDate, "2026-05-01"],
    ] as const) {
      type(field, wrong);
      await says(sentence);
      await user.type(value(), "{Enter}");
      type(field, right);
      await waitFor(saysNothing);
      expect(screen.getByTestId("filter-apply")).toBeEnabled();
    }
    expect(calls(host, "FindManyCompany")).toBe(1);
  });

  it("a date of which a part is missing says so as soon as it is left", async () => {
    const { user } = await formOfCompanies();
    type("founded", "");
    // Its parts are the browser's own: jsdom has none.
    const incomplete = vi.spyOn(ValidityState.prototype, "badInput", "get").mockReturnValue(true);
    value().focus();
    saysNothing();
    await user.tab();
    await says(words.notDate);
    incomplete.mockReturnValue(false);
    type("createdAt", "");
    saysNothing();
  });

  it("the beginning of a number is not called wrong while it is typed", async () => {
    await formOfCompanies();
    for (const beginning of ["1", "1,", "1,2", "1,23", "1,234"]) {
      type("employees", beginning);
      saysNothing();
    }
  });
});
