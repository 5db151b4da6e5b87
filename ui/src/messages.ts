/** Every word on the screen. Texts about a failure say what happened, whether anything is lost, and what to do. */
import type { Operator } from "./data/operators";
import { count, exactTime, hostName, timeOfDay } from "./format";
import type { Code, Ending, JournalEntry, Status, Storage } from "./host";

const some = (n: number, one: string, many: string) => `${count(n)} ${n === 1 ? one : many}`;

/** The text of a failed call, by its error code. */
export const errors: Record<Code, string> = {
  signed_out: "You are signed out. Sign in to continue; nothing on this page is lost.",
  unreachable: "The server can't be reached. You are still signed in; try again when it answers.",
  access_denied: "The server refuses this to your account. Ask the administrator of the workspace.",
  timed_out: "The server took too long to answer. Try again.",
  cancelled: "This was cancelled before it finished.",
  maybe_executed: "The answer was lost: this may have been saved. Reload to see, before you send it again.",
  already_ran: "This was sent once already and was not sent again. Reload to see the result.",
  too_many_calls: "Too many requests at once. Wait a moment and try again.",
  not_confirmed: "This is another server than so far. Nothing was sent, because it was not confirmed.",
  too_large: "This is too large. Narrow the answer with a filter, or send less at once.",
  upload_broken: "The upload was damaged inside the application, and nothing was sent. Try again.",
  invalid_request: "The application made a request that is not allowed. Please report this.",
  locked: "Your keyring is locked. Unlock it and try again.",
  wrong_password: "This password is wrong. Check it and try again.",
  unknown_user: "The server knows no account with this e-mail address.",
  second_factor_required: "This account needs a second factor, and nobody was asked for it. Please report this.",
  sign_in_refused: "The server refused the sign-in. Check the address of your workspace and your account.",
  sign_in_cancelled: "The sign-in was cancelled. Start again to sign in.",
  sign_in_timed_out: "Nobody finished the sign-in in time. Start again.",
  browser_unavailable:
    "The sign-in by browser could not start: the server has none, or this computer blocks it. Use your password.",
  invalid_address: "This is not a server address. It looks like https://crm.example.com.",
  host_not_found: "No server has this name. Check the spelling.",
  certificate: "The server's certificate can't be trusted, so nothing was sent. Ask the server's administrator.",
  not_this_server: "Something answers at this address, but it is not a Twenty server.",
  leads_elsewhere: "This address leads to another one. Use that one, if you know it.",
  no_answer: "No answer from this address. Check your network and that the server runs.",
  config: "The application is not configured correctly. Please report this.",
  internal: "Something went wrong inside the application. Try again; if it happens again, please report it.",
};

/** Failures that have no code of the session. */
export const serverErrors = {
  away: "The server does not answer at the moment. Try again later.",
  broken: "Something went wrong at the server. Try again; if it happens again, tell its administrator.",
  refused: "The server refused this. Check the value.",
};

export const signIn = {
  title: "Sign in",
  intro: "Your Twenty workspace, in windows that stay signed in.",
  server: "Server address",
  serverHint: "https://crm.example.com",
  demo: "Demo server",
  remembered: "Servers used before",
  checking: "Looking for the server…",
  reachable: "Twenty server, reachable",
  other: "Another server than so far: you are asked before anything is sent.",
  askNow: "Ask now",
  noMethods: "This server offers no way to sign in that this application knows. Ask its administrator.",
  passwordOnly: "This older server signs in by password.",
  browser: "Continue in the browser",
  device: "Sign in with a code on another device",
  or: "or",
  submitPassword: "Sign in with a password",
  goesTo: (origin: string) => `Goes to ${origin}`,
  email: "E-mail",
  password: "Password",
  show: "Show password",
  hide: "Hide password",
  submit: "Sign in",
  missingServer: "Type the address of your server.",
  missingEmail: "Type your e-mail address.",
  missingPassword: "Type your password.",
};

/** What a sign-in asks for on its way. */
export const signInSteps = {
  cancel: "Cancel",
  timeLeft: (seconds: number) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left`,
  /** Read out, so it changes only once a minute. */
  minutesLeft: (seconds: number) =>
    seconds > 60 ? `${some(Math.ceil(seconds / 60), "minute", "minutes")} left.` : "Less than a minute left.",
  copyLink: "Copy link",
  copied: "Copied",
  notCopied: "It could not be copied. Select it here instead:",
  browser: {
    title: "Finish signing in in your browser.",
    text: "This window goes on by itself then.",
    notOpened: "No browser could be opened. Copy the link and open it in one.",
  },
  device: {
    title: "Type this code on another device.",
    text: "Open this address there:",
    code: "Code",
    copyCode: "Copy code",
  },
  code: {
    title: "One more step",
    text: "Type the code that your authenticator application shows, or a recovery code.",
    label: "One-time code",
    missing: "Type the code.",
    wrong: "This code is wrong or too old. Type the newest one.",
    submit: "Sign in",
  },
  choose: {
    title: "Choose a workspace",
    text: "You belong to more than one.",
  },
};

export const indicator = {
  opening: "Opening…",
  signed_out: "Signed out",
  signed_in: "Signed in",
  renewing: "Renewing the session…",
  unreachable: "Can't reach the server",
  held: "Waiting for another window of this application",
  stateFolder: "Waiting for the data folder",
  locked: "Keyring locked",
  ended: "Session ended",
  stopped: "Stopped working. Start the application again; you stay signed in",
  not_saved: "Signed in, not saved",
  tryingIn: (seconds: number) => (seconds > 0 ? `Trying again in ${seconds} s` : "Trying again now…"),
  signedInAs: (person: string | undefined, server: string | undefined) =>
    [person ?? "Signed in", hostName(server)].filter(Boolean).join(" at "),
};

/** The mark of a connection that others on the network can read. */
export const insecure = {
  mark: "Not encrypted",
  sentence: (server: string | undefined) =>
    `Everybody on the network can read your password, and all that goes to ${hostName(server) || "the server"} and back. Ask its administrator for an address that begins with https.`,
};

export const banner = {
  unreachable: (server: string | undefined) =>
    `Can't reach ${hostName(server) || "the server"}. You are still signed in.`,
  held: "Another running copy of this application is renewing your session. You are still signed in.",
  stateFolder:
    "The application's data folder does not answer, or gives no lock. Look at its disk. You are still signed in.",
  nextAttempt: (at: number) => `Next attempt: ${exactTime(at)}`,
  tryNow: "Try now",
  tryAgain: "Try again",
  howToFix: "How to fix",
  then: "Then press “Try again”.",
  waiting: (edits: number) => `${some(edits, "edit waits", "edits wait")} for the server.`,
};

export const notSaved: Record<NonNullable<Storage["reason"]>, { text: string; fix: string }> = {
  keyring_locked: {
    text: "Your keyring is locked: you stay signed in until you quit.",
    fix: "Open your system's password manager (“Passwords and Keys” on GNOME) and unlock the login keyring.",
  },
  keyring_missing: {
    text: "This system has no keyring: you stay signed in until you quit.",
    fix: "Install and start a keyring service, such as gnome-keyring or KWallet.",
  },
  keyring_slow: {
    text: "Your keyring does not answer: you stay signed in until you quit.",
    fix: "Look for a waiting password prompt of your keyring, or restart its service.",
  },
  keyring_other_folder: {
    text: "Another installation of this application uses the keyring's entry: you stay signed in until you quit.",
    fix: "Use one of the two. Signing in here replaces the other one's entry.",
  },
  keyring_other_server: {
    text: "The keyring has the session of another server: you stay signed in until you quit.",
    fix: "Sign out and in again: that replaces the other session's entry.",
  },
  keyring_failed: {
    text: "Your keyring can't save the session: you stay signed in until you quit.",
    fix: "Restart your keyring's service. The session window shows what it answered.",
  },
  too_long: {
    text: "The session is too long for this system's keyring: you stay signed in until you quit.",
    fix: "The server issues unusually long tokens. Ask its administrator to shorten them.",
  },
};

export const quitting = {
  title: "Quit without saving your session?",
  lost: "If you quit now, you sign in again next time.",
  titleEdits: "Quit and lose edits?",
  edits:
    "Some of your edits have not reached the server, and this computer could not store them: its disk may be full. If you quit now, they are lost.",
  stay: "Stay",
  save: "Save and quit",
  stillNot: "It could not be saved.",
  then: "Then press “Save and quit”.",
  quit: "Quit anyway",
};

export const locked = {
  title: "Unlock your keyring to go on.",
  kept: (person: string | undefined, server: string | undefined) =>
    `The session of ${indicator.signedInAs(person, server)} is stored there. Nothing is lost.`,
  reasons: {
    keyring_locked: "The keyring is locked. Unlock it with your system's password manager.",
    keyring_missing: "No keyring service runs. Start it, such as gnome-keyring or KWallet.",
    keyring_locked_or_cleared: "The keyring shows no entry: it is locked, or it was emptied.",
    keyring_failed: "The keyring does not answer. Restart its service.",
    keyring_other_folder:
      "The keyring's entry belongs to another installation of this application. Use that one, or sign in here.",
    keyring_other_server:
      "The session that is stored is at another server than the one in this application's settings. Sign in here, or correct the settings.",
    files_unreadable: "The application's data folder can't be read. Look at its disk and its permissions.",
  } satisfies Record<NonNullable<Status["locked"]>, string>,
  tryAgain: "Try again",
  signInAnew: "Sign in again",
  back: "Back",
};

const endings: Record<Ending["reason"], string> = {
  rejected: "the server revoked it",
  lost_answer: "an answer of the server was lost, and it no longer accepts this session",
  unreachable_too_long: "the server could not be reached for too long",
  signed_out: "you signed out",
};

export const ended = {
  title: "Your session ended",
  reason: (ending: Ending | undefined) =>
    ending ? `Your session ended: ${endings[ending.reason]} (${timeOfDay(ending.at)}).` : "Your session ended.",
  kept: "This page and what you typed stay as they are. Sign in to continue.",
  signInAgain: "Sign in again",
  otherTitle: "Another account?",
  other: (was: string, now: string) =>
    `You were signed in ${was}. Signing in ${now} closes this page. What was not saved stays on this computer until you next sign in ${was}.`,
  /** With sign-in by browser, the person is not known before. */
  who: (person: string | undefined, server: string | undefined) =>
    person ? `as ${person} at ${hostName(server)}` : `at ${hostName(server)}`,
  otherGo: (person: string | undefined, server: string | undefined) =>
    person ? `Continue as ${person}` : `Continue at ${hostName(server)}`,
  otherStay: (person: string | undefined) => (person ? `Stay with ${person}` : "Stay"),
  /** Said after somebody else has signed in where the session had ended. */
  otherCame: (was: string, now: string) =>
    `You are now signed in ${now}. What was not saved stays on this computer until you next sign in ${was}.`,
};

export const signOut = {
  title: "Sign out",
  ask: (person: string | undefined, server: string | undefined) =>
    `Sign out ${[person, hostName(server)].filter(Boolean).join(" at ")} in all windows?`,
  kept: (person: string | undefined) =>
    `What has not reached the server stays on this computer. It is sent when ${person ?? "you"} next signs in here.`,
  notKept: "What has not reached the server could not be stored on this computer, and would be lost.",
  go: "Sign out",
  remove: "Remove it, sign out",
  stay: "Stay signed in",
};

export const frame = {
  product: "Holdfast",
  account: "Account menu",
  search: "Search",
  objects: "Objects",
  newWindow: "New window",
  session: "Session…",
  reloadAll: "Reload all",
  panels: "Eight panels",
  theme: "Theme",
  chosen: "chosen",
  themes: { auto: "Like the system", light: "Light", dark: "Dark" },
  signOut: "Sign out",
  nothing: "Nothing found.",
  objectsFailed: "The list of objects could not be loaded.",
  tryAgain: "Try again",
  goTo: "Go to",
  actions: "Actions",
  records: "Records",
  palette: "Go to an object, find a record, or do something…",
  noObject: "Choose an object on the left.",
  recordOf: (object: string) => `In ${object}`,
  skip: "Skip to the records",
};

export const records = {
  new: "New",
  newRecord: (singular: string) => `New ${singular}`,
  loaded: (loaded: number, total: number) => `${count(loaded)} of ${count(total)} loaded`,
  loading: "Loading…",
  empty: "No records.",
  emptyFiltered: "No record matches the filter.",
  failed: "The records could not be loaded.",
  moreFailed: "The next records could not be loaded.",
  tryAgain: "Try again",
  filter: "Filter",
  addCondition: "Add a condition",
  field: "Field",
  condition: "Condition",
  value: "Value",
  apply: "Apply",
  clear: "Remove all",
  removeFilter: (text: string) => `Remove the filter ${text}`,
  sort: "Sort",
  sortBy: "Sort by",
  unsorted: "As the server orders",
  ascending: "ascending",
  descending: "descending",
  more: "More actions",
  open: "Open the record",
  edit: "Edit the cell",
  delete: "Delete",
  copy: "Copy",
  undo: "Undo the last change",
  reload: "Reload",
  resetColumns: "Reset the columns",
  deleteTitle: (n: number, singular: string, plural: string) => `Delete ${some(n, singular, plural)}?`,
  deleteText: "The server keeps deleted records in its bin for a while.",
  cancel: "Cancel",
  save: "Save",
  close: "Close",
  selected: (n: number) => `${count(n)} selected`,
  copied: (n: number) => `${some(n, "row", "rows")} copied.`,
  copiedCell: "Cell copied.",
  nothingToUndo: "There is nothing to undo.",
  undone: "The last change was undone.",
  undoShort: "Undo",
  created: (singular: string) => `${singular} created.`,
  createdLater: (singular: string) => `${singular} kept, not saved yet.`,
  deleted: (n: number, singular: string, plural: string) => `${some(n, singular, plural)} deleted.`,
  deletedLater: (n: number, singular: string, plural: string) => `${some(n, singular, plural)} not deleted yet.`,
  yes: "Yes",
  no: "No",
  notNumber: (example: string) => `This is not a number. Write it like ${example}.`,
  tooManyDigits: "This number has too many digits. Round it.",
  notDate: "This is not a date. Fill in all its parts, and the year with four digits.",
  notKept: (text: string, why: string) => `“${text}” was not taken. ${why}`,
  required: "This field can't be empty.",
  parts: {
    firstName: "First name",
    lastName: "Last name",
    callingCode: "Code",
    number: "Number",
    amount: "Amount",
    currency: "Currency",
    street1: "Street",
    street2: "Street, line 2",
    city: "City",
    postcode: "Postcode",
    state: "State",
    country: "Country",
  },
  unknownObject: (singular: string) => `The server does not list the object ${singular} any more. Reload all.`,
  notInAnswer: (plural: string) => `The server's answer holds no ${plural}. Reload all.`,
  searchRelation: "Type to search",
  noMatch: "No match",
  draftKept: "A draft. What you typed is kept until you save or discard it.",
  nothingFilledIn: "Nothing is filled in. Create an empty record all the same?",
  createEmpty: "Create it empty",
  discard: "Discard",
  unnamed: "Untitled",
};

export const operators: Record<Operator, string> = {
  contains: "contains",
  startsWith: "starts with",
  is: "is",
  isNot: "is not",
  atLeast: "at least",
  atMost: "at most",
  after: "on or after",
  before: "before",
  isTrue: "is yes",
  isFalse: "is no",
  isEmpty: "is empty",
  isNotEmpty: "is not empty",
};

export const edits = {
  title: "Not saved yet",
  button: (n: number) => `${count(n)} not saved`,
  states: {
    sending: "Saving…",
    waiting: "Waits for the server",
    uncertain: "May have been saved",
    conflict: "Changed by somebody else",
    failed: "Not saved",
  },
  about: {
    sending: "This is on its way to the server.",
    waiting: "It is kept on this computer and sent when the server answers or you are signed in again.",
    uncertain: "The answer was lost. The record is read as soon as the server answers, to see whether it was saved.",
    conflict: "The field was changed meanwhile. Send yours to replace it, or discard yours.",
    failed: "The server refused it.",
  },
  gone: "The record was deleted meanwhile.",
  kinds: { update: "Edit", create: "New", delete: "Delete", restore: "Restore" },
  send: "Send again",
  sendMine: "Send mine",
  discard: "Discard",
  notKept: "These edits can't be stored on this computer: they are lost when you quit.",
};

export const drafts = {
  title: "Begun and not saved",
  button: (n: number) => some(n, "draft", "drafts"),
  continue: "Continue",
};

export const journal = {
  title: "Session",
  refresh: "Refresh",
  copy: "Copy diagnostics",
  copied: "Copied. It has no password, no e-mail address and no server name.",
  notCopied: "The text could not be copied. Select it in the journal instead.",
  empty: "Nothing has happened yet.",
  failed: "The journal could not be read.",
  close: "Close",
  server: "Server",
  account: "Account",
  state: "State",
  words: {
    opened: "Found in the keyring",
    signed_in: "Signed in",
    signed_out: "Signed out",
    lock_waited: "Waited for another process",
    lock_not_taken: "Could not take the lock",
    file_not_written: "Could not write a file; it is written later",
    server_checked: "Server checked",
    sign_in_sent: "Sign-in begun",
    server_refused: "Another server was not used",
    attempt_sent: "Renewal sent",
    answered: "Renewal answered",
    renewed: "Renewed",
    adopted: "Adopted from another process",
    saved: "Saved in the keyring",
    save_failed: "Could not save in the keyring",
    entry_lost: "No longer in the keyring",
    waiters_told: "Waiting calls ended as unreachable",
    ended: "Session ended",
    removed: "Removed from the keyring",
    revoked: "Revoked at the server",
    renewal: "Renewal finished",
  } satisfies Record<JournalEntry["what"], string>,
};

export const panels = {
  title: "Eight panels",
  intro: "Eight separate queries over both endpoints, sent at once: with an expired session they share one renewal.",
  reload: "Reload eight panels",
  names: [
    "People",
    "Companies",
    "Newest people",
    "Newest companies",
    "Largest companies",
    "Opportunities",
    "You",
    "Objects",
  ],
  failed: "Could not be loaded.",
  stale: "Not up to date.",
};
