/** Conditions that the server applies, one chip each, and the form that adds one. */
import { Button, CloseButton, Group, Kbd, NativeSelect, Popover, Stack, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconFilter } from "@tabler/icons-react";
import { useRef, useState, type ChangeEvent, type FocusEvent, type FormEvent, type Ref } from "react";
import { filterProblem, kindOf, shownFields, type Comparable } from "../data/fields";
import type { Field, ObjectInfo } from "../data/metadata";
import { standsAlone, type Operator } from "../data/operators";
import { isComplete, type Condition } from "../data/query";
import { ariaKey, keys, keyText } from "../keys";
import { operators, records as words } from "../messages";
import classes from "./records.module.css";

/** How long the typing pauses before a text is called wrong, in milliseconds: `-` and `1,` are the beginnings of numbers. */
const WRONG_AFTER_MS = 400;

interface ButtonProps {
  object: ObjectInfo;
  opened: boolean;
  onOpened: (opened: boolean) => void;
  onAdd: (condition: Condition) => void;
}

export function FilterButton({ object, opened, onOpened, onAdd }: ButtonProps) {
  return (
    <Popover opened={opened} onChange={onOpened} position="bottom-end" width={304} trapFocus returnFocus withinPortal>
      <Popover.Target>
        <Button
          variant="default"
          size="compact-sm"
          leftSection={<IconFilter size={16} />}
          onClick={() => onOpened(!opened)}
          aria-keyshortcuts={ariaKey(keys.filter)}
          title={keyText(keys.filter)}
          data-testid="filter"
        >
          {words.filter}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <ConditionForm
          key={object.id}
          object={object}
          onAdd={(condition) => {
            onAdd(condition);
            onOpened(false);
          }}
        />
      </Popover.Dropdown>
    </Popover>
  );
}

function ConditionForm({ object, onAdd }: { object: ObjectInfo; onAdd: (condition: Condition) => void }) {
  const fields = shownFields(object).filter((field) => kindOf(field)?.filter);
  const [condition, setCondition] = useState<Condition>(() => {
    const first = fields[0];
    return {
      field: first?.name ?? "",
      operator: (first && kindOf(first)?.filter?.operators[0]) ?? "contains",
      value: "",
    };
  });
  const value = useRef<HTMLInputElement & HTMLSelectElement>(null);
  const field = fields.find((one) => one.name === condition.field);
  const filter = field && kindOf(field)?.filter;
  if (!field || !filter) return null;

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isComplete(object, condition)) onAdd(condition);
    else value.current?.focus();
  };
  const set = (change: Partial<Condition>) => setCondition({ ...condition, ...change });

  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <NativeSelect
          label={words.field}
          data={fields.map((one) => ({ value: one.name, label: one.label }))}
          value={condition.field}
          onChange={(event) => {
            const next = fields.find((one) => one.name === event.currentTarget.value)!;
            set({ field: next.name, operator: kindOf(next)!.filter!.operators[0]!, value: "" });
          }}
          data-testid="filter-field"
        />
        <NativeSelect
          label={words.condition}
          data={filter.operators.map((operator) => ({ value: operator, label: operators[operator] }))}
          value={condition.operator}
          onChange={(event) => set({ operator: event.currentTarget.value as Operator })}
          data-testid="filter-operator"
        />
        {!standsAlone(condition.operator) && (
          <ValueInput
            key={field.name}
            ref={value}
            field={field}
            holds={filter.holds}
            value={condition.value}
            onChange={(value) => set({ value })}
          />
        )}
        <Button
          type="submit"
          disabled={!isComplete(object, condition)}
          data-testid="filter-apply"
          rightSection={<Kbd size="xs">Enter</Kbd>}
        >
          {words.apply}
        </Button>
      </Stack>
    </form>
  );
}

interface ValueInputProps {
  ref: Ref<HTMLInputElement & HTMLSelectElement>;
  field: Field;
  holds: Comparable;
  value: string;
  onChange: (value: string) => void;
}

function ValueInput({ ref, field, holds, value, onChange }: ValueInputProps) {
  const [settled] = useDebouncedValue(value, WRONG_AFTER_MS);
  /** A date input reports no change before all its parts are filled in. */
  const [isIncomplete, setIncomplete] = useState(false);
  const problem = settled === value ? filterProblem(value, holds) : undefined;
  const common = {
    ref,
    label: words.value,
    value,
    error: isIncomplete ? words.notDate : problem,
    // Read out when it appears: the focus is in the input.
    errorProps: { role: "alert" },
    onChange: (event: ChangeEvent<HTMLInputElement | HTMLSelectElement>) => {
      setIncomplete(false);
      onChange(event.currentTarget.value);
    },
    "data-testid": "filter-value",
  };
  switch (holds) {
    case "option":
      return (
        <NativeSelect
          {...common}
          data={[{ value: "", label: "" }, ...(field.options ?? []).map(({ value, label }) => ({ value, label }))]}
        />
      );
    case "day":
    case "moment":
      return (
        <TextInput
          {...common}
          type="date"
          onBlur={(event: FocusEvent<HTMLInputElement>) => setIncomplete(event.currentTarget.validity.badInput)}
          data-autofocus
        />
      );
    case "number":
    case "micros":
      return <TextInput {...common} inputMode="decimal" data-autofocus />;
    case "text":
      return <TextInput {...common} data-autofocus />;
    // Yes and no are conditions of their own, without a value.
    case "boolean":
      return null;
  }
}

interface ChipsProps {
  object: ObjectInfo;
  conditions: readonly Condition[];
  onChange: (conditions: Condition[]) => void;
}

export function FilterChips({ object, conditions, onChange }: ChipsProps) {
  if (conditions.length === 0) return null;
  const text = ({ field: name, operator, value }: Condition) => {
    const field = object.fieldsList.find((one) => one.name === name);
    const shown = field?.options?.find((one) => one.value === value)?.label ?? value;
    return [field?.label ?? name, operators[operator], standsAlone(operator) ? "" : shown].filter(Boolean).join(" ");
  };
  return (
    <div className={classes.filters} data-testid="filters">
      {conditions.map((condition, index) => (
        <Group key={`${condition.field}-${index}`} gap={4} px={8} className={classes.tag} wrap="nowrap">
          {text(condition)}
          <CloseButton
            size="sm"
            aria-label={words.removeFilter(text(condition))}
            onClick={() => onChange(conditions.filter((_, other) => other !== index))}
          />
        </Group>
      ))}
      <Button variant="subtle" size="compact-sm" onClick={() => onChange([])}>
        {words.clear}
      </Button>
    </div>
  );
}
