/**
 * YAML text to plain values, with the position of every value. Strict on purpose: core schema, one document, no merge
 * keys, no tags, no repeated keys, bounded depth and size. Knows nothing of what the values mean.
 */
import {
  Composer,
  type CST,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  Parser,
  type Document as YamlDocument,
} from 'yaml';
import type { ConfigPath, PathStep, Position, Problem } from './problem.ts';
import { formatPath } from './problem.ts';

const maxDepth = 64;
/** A file at the size limit that is all punctuation takes seconds to parse; a real one of that size has fewer. */
const maxLexemes = 300_000;
/** Values reached through aliases: enough for shared lists, far below what an alias bomb needs. */
const maxAliasedValues = 10_000;
/** Names that reach prototypes when a later program copies objects carelessly (CVE-2025-64718 and its kin). */
const forbiddenKeys = new Set(['__proto__', 'constructor', 'prototype']);

interface Located {
  readonly offset: number;
  readonly keyOffset: number | undefined;
  readonly children: Map<PathStep, Located>;
}

export interface ConfigDocument {
  /** Plain objects, arrays, text, numbers, booleans and null; `undefined` when the text cannot be read as YAML. */
  readonly value: unknown;
  readonly problems: readonly Problem[];
  /** Where the value at `path` is written, or the nearest thing above it that exists. */
  positionOf(path: ConfigPath): Position;
  /** Where the key of the value at `path` is written. */
  keyPositionOf(path: ConfigPath): Position;
}

export function readDocument(text: string): ConfigDocument {
  const lines = new LineCounter();
  const problems: Problem[] = [];
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const report = (offset: number, path: ConfigPath, message: string): void => {
    problems.push({ ...at(offset), path: formatPath(path), message });
  };

  const documents = compose(text, lines, report);
  const root: Located = { offset: 0, keyOffset: undefined, children: new Map() };
  let value: unknown;
  const [document, second] = documents;
  if (document !== undefined) {
    for (const fault of [...document.errors, ...document.warnings]) {
      report(fault.pos[0], [], fault.message);
    }
    if (second !== undefined) {
      report(
        second.contents?.range[0] ?? second.range[0],
        [],
        'expected one YAML document, found a second one',
      );
    }
  }
  if (problems.length === 0) {
    value = document?.contents == null ? {} : readValue(document.contents, root, report);
  }

  const locate = (path: ConfigPath): { readonly node: Located; readonly complete: boolean } => {
    let node = root;
    for (const step of path) {
      const child = node.children.get(step);
      if (child === undefined) return { node, complete: false };
      node = child;
    }
    return { node, complete: true };
  };
  return {
    value,
    problems,
    positionOf: (path) => {
      const { node, complete } = locate(path);
      return at(complete ? node.offset : (node.keyOffset ?? node.offset));
    },
    keyPositionOf: (path) => {
      const { node } = locate(path);
      return at(node.keyOffset ?? node.offset);
    },
  };
}

function readValue(contents: Node, root: Located, report: Report): unknown {
  try {
    return new ValueReader(report).read(contents, root, [], 0) ?? {};
  } catch (error) {
    if (error instanceof DocumentRefused) return undefined;
    throw error;
  }
}

type Report = (offset: number, path: ConfigPath, message: string) => void;

/** Lexes, parses and composes, giving up before a hostile file costs seconds or overflows the stack. */
function compose(text: string, lines: LineCounter, report: Report): YamlDocument.Parsed[] {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  const composer = new Composer({
    version: '1.2',
    schema: 'core',
    merge: false,
    prettyErrors: false,
    // The library compares keys pair by pair; ValueReader does it with a set, and names the path.
    uniqueKeys: false,
    logLevel: 'silent',
  });
  const tokens: CST.Token[] = [];
  let lexemes = 0;
  let flowDepth = 0;
  for (const lexeme of new Lexer().lex(text)) {
    if (lexeme === '[' || lexeme === '{') flowDepth++;
    else if (lexeme === ']' || lexeme === '}') flowDepth--;
    if (++lexemes > maxLexemes || flowDepth > maxDepth) {
      report(parser.offset, [], lexemes > maxLexemes ? tooMuch : tooDeep);
      return [];
    }
    tokens.push(...parser.next(lexeme));
  }
  tokens.push(...parser.end());
  for (const token of tokens) {
    const deep = tooDeepToken(token);
    if (deep !== undefined) {
      report(deep.offset, [], tooDeep);
      return [];
    }
  }
  return Array.from(composer.compose(tokens));
}

/** The first token below `maxDepth` collections. Walked with a list: composing goes one call deeper at every level. */
function tooDeepToken(root: CST.Token): CST.Token | undefined {
  const open: [token: CST.Token, depth: number][] = [[root, 0]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [token, depth] = next;
    if (depth > maxDepth) return token;
    if (token.type === 'document' && token.value !== undefined) open.push([token.value, depth]);
    if (!('items' in token)) continue;
    for (const { key, value } of token.items) {
      if (key != null) open.push([key, depth + 1]);
      if (value !== undefined) open.push([value, depth + 1]);
    }
  }
  return undefined;
}

const tooMuch = 'holds too many values';
const tooDeep = `is nested deeper than ${maxDepth} levels`;

/** Thrown to leave a document that is refused as a whole; never leaves this file. */
class DocumentRefused extends Error {}

class ValueReader {
  readonly #report: Report;
  readonly #anchors = new Map<string, Node>();
  /** Nodes whose reading has not finished: an alias to one of them is a circle. */
  readonly #open = new Set<Node>();
  #aliasDepth = 0;
  #aliasedValues = 0;

  constructor(report: Report) {
    this.#report = report;
  }

  read(node: Node | null, located: Located, path: ConfigPath, depth: number): unknown {
    if (node === null) return null;
    if (this.#aliasDepth > 0 && ++this.#aliasedValues > maxAliasedValues) {
      throw this.#refuse(located.offset, path, 'aliases repeat too many values');
    }
    if (depth > maxDepth) throw this.#refuse(located.offset, path, tooDeep);
    if (isAlias(node)) return this.#readAlias(node.source, located, path, depth);
    if (isScalar(node)) {
      if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
      // 0123, 1e3 and 0x1F are names of groups or people more often than numbers: only plain numbers are numbers.
      if (typeof node.value === 'number' && String(node.value) !== node.source) return node.source;
      return node.value;
    }
    if (!isMap(node) && !isSeq(node)) throw this.#refuse(located.offset, path, 'expected a plain value');
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    this.#open.add(node);
    const value = isMap(node)
      ? this.#readMap(node.items, located, path, depth)
      : node.items.map((item, index) => {
          const child = locate(item, undefined, located.offset);
          located.children.set(index, child);
          return this.read(item as Node, child, [...path, index], depth + 1);
        });
    this.#open.delete(node);
    return value;
  }

  #readAlias(anchor: string, located: Located, path: ConfigPath, depth: number): unknown {
    const target = this.#anchors.get(anchor);
    if (target === undefined) {
      throw this.#refuse(located.offset, path, `*${anchor} names no anchor written above it`);
    }
    if (this.#open.has(target)) throw this.#refuse(located.offset, path, `*${anchor} contains itself`);
    this.#aliasDepth++;
    const value = this.read(target, located, path, depth);
    this.#aliasDepth--;
    return value;
  }

  #readMap(
    items: readonly Pair[],
    located: Located,
    path: ConfigPath,
    depth: number,
  ): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    for (const { key: keyNode, value: valueNode } of items) {
      const keyOffset = offsetOf(keyNode) ?? located.offset;
      const key = keyText(keyNode);
      if (key === undefined) {
        this.#report(keyOffset, path, 'expected keys that are plain text');
        continue;
      }
      const childPath = [...path, key];
      if (forbiddenKeys.has(key)) {
        this.#report(keyOffset, childPath, 'this key is never allowed');
        continue;
      }
      if (key === '<<') {
        this.#report(keyOffset, childPath, 'merge keys are not supported; write the keys out');
        continue;
      }
      if (located.children.has(key)) {
        this.#report(keyOffset, childPath, 'this key is written twice');
        continue;
      }
      const child = locate(valueNode, keyOffset, keyOffset);
      located.children.set(key, child);
      value[key] = this.read(valueNode as Node | null, child, childPath, depth + 1);
    }
    return value;
  }

  #refuse(offset: number, path: ConfigPath, message: string): DocumentRefused {
    this.#report(offset, path, message);
    return new DocumentRefused(message);
  }
}

interface Pair {
  readonly key: unknown;
  readonly value: unknown;
}

function locate(node: unknown, keyOffset: number | undefined, fallback: number): Located {
  // An empty value has no place of its own worth showing: its key has.
  const isEmpty = isScalar(node) && node.value === null && (node.source ?? '') === '';
  return { offset: isEmpty ? fallback : (offsetOf(node) ?? fallback), keyOffset, children: new Map() };
}

function offsetOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

/** Keys as written: `123:` is the key "123", as in JSON. */
function keyText(node: unknown): string | undefined {
  if (!isScalar(node)) return undefined;
  if (typeof node.value === 'string') return node.value;
  return node.source === undefined || node.source === '' ? undefined : node.source;
}
