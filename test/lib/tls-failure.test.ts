import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTlsFailure } from '#src/lib/tls-failure.ts';

const cases: readonly (readonly [code: string, isTls: boolean])[] = [
  ['CERT_HAS_EXPIRED', true],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', true],
  ['SELF_SIGNED_CERT_IN_CHAIN', true],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', true],
  ['ERR_TLS_CERT_ALTNAME_INVALID', true],
  ['ERR_SSL_WRONG_VERSION_NUMBER', true],
  ['HOSTNAME_MISMATCH', true],
  ['INVALID_CA', true],
  ['ECONNRESET', false],
  ['ERR_STREAM_DESTROYED', false],
  ['', false],
];
for (const [code, isTls] of cases) {
  test(`${code === '' ? 'no code' : code} is ${isTls ? 'a' : 'no'} failure of TLS`, () => {
    assert.equal(isTlsFailure(code), isTls);
  });
}
