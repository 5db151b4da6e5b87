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
  switch (operator) {
    case "isTrue":
    case "isFalse":
    case "isEmpty":
    case "isNotEmpty":
      return true;
    case "contains":
    case "startsWith":
    case "is":
    case "isNot":
    case "atLeast":
    case "atMost":
    case "after":
    case "before":
      return false;
  }
}
