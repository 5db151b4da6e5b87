/** The text that the clipboard did not take, to be selected by hand. */
import { Text } from "@mantine/core";
import { signInSteps as words } from "../../messages";
import classes from "./signIn.module.css";

export function NotCopied({ text }: { text: string }) {
  return (
    <Text size="sm" role="alert" data-testid="sign-in-not-copied">
      {words.notCopied}
      <br />
      <span className={classes.address}>{text}</span>
    </Text>
  );
}
