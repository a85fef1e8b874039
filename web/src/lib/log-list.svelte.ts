// The box's log as the page shows it: the newest first, older ones on demand, newer ones joined without a gap.
import { words } from './api';
import type { LogLine, LogPage } from './types';

/** More than that is not kept in the page: older ones are asked for again. */
export const MOST_LINES = 2000;

/** A page of what fits; `before` and `after` are numbers of lines. */
export type AskLog = (range: { before?: number | undefined; after?: number | undefined }) => Promise<LogPage>;

export class LogList {
  lines = $state.raw<LogLine[]>([]);
  /** What is older than this was not asked for yet; null where there is nothing. */
  next = $state<number | null>(null);
  error = $state('');
  isLoaded = $state(false);
  #turn = 0;
  #isAsking = false;

  constructor(private readonly ask: AskLog) {}

  /** Anew, as what is asked for is something else now: what is still on its way does not count. */
  restart = (): Promise<void> => {
    this.#turn += 1;
    this.#isAsking = false;
    return this.#run(async (isMine) => {
      const page = await this.ask({});
      if (!isMine()) return;
      this.lines = page.lines;
      this.next = page.next;
    });
  };

  /** What comes of a question that is still open is not wanted any more. */
  forget(): void {
    this.#turn += 1;
    this.#isAsking = false;
  }

  older = (): Promise<void> =>
    this.#run(async (isMine) => {
      if (this.next === null) return;
      const page = await this.ask({ before: this.next });
      if (!isMine()) return;
      this.lines = [...this.lines, ...page.lines];
      this.next = page.next;
    });

  /** What is newer than the first line, page by page until it joins. */
  newer = (): Promise<void> => {
    const newest = this.lines[0]?.n;
    if (newest === undefined) return this.#isAsking ? Promise.resolve() : this.restart();
    return this.#run(async (isMine) => {
      let fresh: LogLine[] = [];
      let before: number | undefined;
      do {
        const page = await this.ask({ after: newest, before });
        if (!isMine()) return;
        fresh = [...fresh, ...page.lines];
        before = page.next ?? undefined;
      } while (before !== undefined && fresh.length < MOST_LINES);
      if (before !== undefined) {
        // They do not join: what is older is asked for again.
        this.lines = fresh;
        this.next = before;
        return;
      }
      const all = [...fresh, ...this.lines];
      this.lines = all.slice(0, MOST_LINES);
      if (all.length > MOST_LINES) this.next = this.lines.at(-1)?.n ?? null;
    });
  };

  /** One question at a time. */
  async #run(run: (isMine: () => boolean) => Promise<void>): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const mine = this.#turn;
    const isMine = () => mine === this.#turn;
    try {
      await run(isMine);
      if (isMine()) this.error = '';
    } catch (problem) {
      if (isMine()) this.error = words(problem);
    } finally {
      if (isMine()) {
        this.#isAsking = false;
        this.isLoaded = true;
      }
    }
  }
}
