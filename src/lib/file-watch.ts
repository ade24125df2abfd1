/**
 * Tells when files have changed, by looking at them again and again: notifications of the kernel miss what editors,
 * network file systems and swapped symbolic links do.
 */
import { stat } from 'node:fs/promises';

export interface FileWatchOptions {
  /** Absolute paths, asked for at every look. */
  readonly files: () => readonly string[];
  readonly everyMs: number;
  /** Called when something has changed and then stayed the same for one look; never twice at a time. */
  readonly onChange: () => Promise<void>;
}

export class FileWatch implements Disposable {
  readonly #options: FileWatchOptions;
  /** What each file was like when it counted as known. */
  readonly #known = new Map<string, string>();
  #changed: ReadonlyMap<string, string> = new Map();
  #timer: NodeJS.Timeout | undefined;
  #isEnded = false;

  constructor(options: FileWatchOptions) {
    this.#options = options;
    this.#schedule(0);
  }

  [Symbol.dispose](): void {
    this.#isEnded = true;
    clearTimeout(this.#timer);
  }

  #schedule(afterMs: number): void {
    if (this.#isEnded) return;
    this.#timer = setTimeout(() => {
      void this.#look().finally(() => this.#schedule(this.#options.everyMs));
    }, afterMs);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    const changed = new Map<string, string>();
    for (const file of this.#options.files()) {
      const stamp = await stampOf(file);
      const known = this.#known.get(file);
      if (known === undefined) this.#known.set(file, stamp);
      else if (known !== stamp) changed.set(file, stamp);
    }
    // What differs from the look before is perhaps half written: the next look tells.
    const isSettled = [...changed].every(([file, stamp]) => this.#changed.get(file) === stamp);
    this.#changed = changed;
    if (changed.size === 0 || !isSettled) return;
    for (const [file, stamp] of changed) this.#known.set(file, stamp);
    await this.#options.onChange();
  }
}

async function stampOf(file: string): Promise<string> {
  try {
    const { ino, size, mtimeMs } = await stat(file);
    return `${ino} ${size} ${mtimeMs}`;
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}
