/** The published signatures: those that are right, and two that are not. */
import { readFileSync } from 'node:fs';

export interface PreauthVector {
  readonly name: string;
  readonly key: string;
  readonly account: string;
  readonly by: 'name' | 'id' | 'foreignPrincipal';
  readonly admin: boolean;
  readonly expires: number;
  readonly timestamp: number;
  readonly mac: string;
}

interface VectorFile {
  readonly vectors: readonly PreauthVector[];
  readonly impossible: readonly Pick<PreauthVector, 'account' | 'admin' | 'mac'>[];
}

export const { vectors, impossible } = JSON.parse(
  readFileSync(new URL('../vectors/zimbra-preauth.json', import.meta.url), 'utf8'),
) as VectorFile;

/** The key of the guide whose printed signatures nothing reproduces. */
export const guideKey = '9b34da63e5c1cba4cf7eb8262bacb18f712f6abafb02cf670234cb9bca63cb31';
