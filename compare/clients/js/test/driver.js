// @ts-check
/** The real driver process, spoken to as the orchestrator does. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** No answer in a test may take longer, in milliseconds. The longest wait of a client is Apollo's for a retry: 6 s. */
const DEADLINE_MS = 30_000;

export class Driver {
  /** Every line that it has said. @type {any[]} */
  said = [];
  /** What a person could read on stderr. */
  stderr = "";
  /** @type {Set<() => void>} */
  #waiting = new Set();
  #process;
  /** @type {Promise<number | null>} */
  #exit;

  /** @param {string} client */
  constructor(client) {
    this.#process = spawn(process.execPath, [new URL("../drive.js", import.meta.url).pathname, client], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#exit = new Promise((resolve) => this.#process.on("close", (code) => resolve(code)));
    this.#process.stderr.on("data", (chunk) => (this.stderr += chunk));
    createInterface({ input: this.#process.stdout }).on("line", (line) => {
      this.said.push(JSON.parse(line));
      for (const look of this.#waiting) look();
    });
  }

  /** @param {object} command */
  tell(command) {
    this.#process.stdin.write(`${JSON.stringify(command)}\n`);
  }

  /**
   * Tells it, and waits for the next answer that has the field.
   *
   * @param {object} command
   * @param {string} field
   */
  ask(command, field) {
    const from = this.said.length;
    this.tell(command);
    return this.#next(from, (answer) => field in answer);
  }

  /** The outcome of a call that has been told. @param {number} id */
  settled(id) {
    return this.#next(0, (answer) => answer.settled === id);
  }

  /** @param {object} call everything but `do` */
  async call(call) {
    this.tell({ do: "call", ...call });
    return this.settled(/** @type {{ id: number }} */ (call).id);
  }

  /** How many logouts each window was told. */
  get logouts() {
    return this.said.filter((answer) => answer.logout).map((answer) => answer.window);
  }

  /** The next logout that a window is told, or the one that it has been. @param {number} window */
  loggedOut(window) {
    return this.#next(0, (answer) => answer.logout && answer.window === window);
  }

  /** @param {number} window */
  async signedIn(window) {
    return (await this.ask({ do: "status", window }, "status")).status.signedIn;
  }

  /** Closes its stdin, and answers with its exit code. */
  async end() {
    this.#process.stdin.end();
    return this.#exit;
  }

  /**
   * @param {number} from
   * @param {(answer: any) => boolean} wanted
   * @returns {Promise<any>}
   */
  #next(from, wanted) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        reject(new Error(`No answer. It has said ${JSON.stringify(this.said)}, and on stderr: ${this.stderr}`));
      }, DEADLINE_MS);
      const look = () => {
        const answer = this.said.slice(from).find(wanted);
        if (!answer) return;
        clearTimeout(late);
        this.#waiting.delete(look);
        resolve(answer);
      };
      this.#waiting.add(look);
      look();
    });
  }
}
