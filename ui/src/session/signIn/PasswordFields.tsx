/** E-mail address and password. */
import { ActionIcon, TextInput } from "@mantine/core";
import { IconEye, IconEyeOff } from "@tabler/icons-react";
import { useState } from "react";
import { signIn as words } from "../../messages";
import { ErrorText } from "./ErrorText";
import { LONGEST, type FieldName, type Problems, type Typed } from "./form";

interface Props {
  typed: Typed;
  onType: (name: FieldName, text: string) => void;
  problems: Problems;
  isBusy: boolean;
  /** What has the focus at first. */
  autoFocus: string;
}

export function PasswordFields({ typed, onType, problems, isBusy, autoFocus }: Props) {
  const [isVisible, setVisible] = useState(false);
  const target = originOf(typed.server);
  return (
    <>
      <TextInput
        data-place="email"
        label={words.email}
        type="email"
        name="email"
        autoComplete="username"
        spellCheck={false}
        value={typed.email}
        onChange={(event) => onType("email", event.currentTarget.value)}
        error={problems.email && <ErrorText {...problems.email} />}
        maxLength={LONGEST.email}
        data-testid="sign-in-email"
        data-autofocus={autoFocus === "email" || undefined}
        disabled={isBusy}
      />
      <TextInput
        data-place="password"
        label={words.password}
        type={isVisible ? "text" : "password"}
        name="password"
        autoComplete="current-password"
        value={typed.password}
        onChange={(event) => onType("password", event.currentTarget.value)}
        error={problems.password && <ErrorText {...problems.password} />}
        rightSection={
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={isVisible ? words.hide : words.show}
            aria-pressed={isVisible}
            onClick={() => setVisible(!isVisible)}
            data-testid="sign-in-show-password"
          >
            {isVisible ? <IconEyeOff size={18} /> : <IconEye size={18} />}
          </ActionIcon>
        }
        description={target && <span data-testid="sign-in-target">{words.goesTo(target)}</span>}
        inputWrapperOrder={["label", "input", "description", "error"]}
        maxLength={LONGEST.password}
        data-testid="sign-in-password"
        data-autofocus={autoFocus === "password" || undefined}
        disabled={isBusy}
      />
    </>
  );
}

/**
 * Where the password goes, with international names in Punycode: two names that look alike differ there. Nothing for what
 * is no address yet.
 */
function originOf(address: string): string | undefined {
  const typed = address.trim();
  const isLoopback = /^(localhost|127\.|\[::1\])/.test(typed);
  const url = typed.includes("://") ? typed : `${isLoopback ? "http" : "https"}://${typed}`;
  return URL.canParse(url) ? new URL(url).origin : undefined;
}
