/** How a filter's condition compares a field with a value. */
export type Operator =
  | "contains"
  | "startsWith"
  | "is"
  | "isNot"
  | "atLeast"
  | "atMost"
  | "after"
  | "before"
  | "isTrue"
  | "isFalse"
  | "isEmpty"
  | "isNotEmpty";

/** Whether a condition with this operator needs no value. */
export function standsAlone(operator: Operator): boolean {
  return operator === "isEmpty" || operator === "isNotEmpty" || operator === "isTrue" || operator === "isFalse";
}
