/** Copies a text, and says that it did. */
import { Button } from "@mantine/core";
import { useEffect, useState } from "react";
import { copyText } from "../../clipboard";
import { signInSteps as words } from "../../messages";

/** How long the button says so, in milliseconds. */
const SHOWN_MS = 2_000;

interface Props {
  text: string;
  label: string;
  /** Called where the clipboard did not take it. */
  onFailed: () => void;
  testid: string;
}

export function CopyButton({ text, label, onFailed, testid }: Props) {
  const [copied, setCopied] = useState<string>();
  useEffect(() => {
    if (copied === undefined) return;
    const timer = setTimeout(() => setCopied(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => {
    if (await copyText(text)) setCopied(text);
    else onFailed();
  };
  return (
    <Button variant="default" onClick={() => void copy()} data-testid={testid}>
      <span aria-live="polite">{copied === text ? words.copied : label}</span>
    </Button>
  );
}
