/** Which errors of Node say that no trusted TLS connection came about. */

/** Codes of the TLS layer and of OpenSSL's verification (X509_V_ERR_*, as Node spells them). */
const handshake =
  /^(ERR_TLS|ERR_SSL|CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME|INVALID_(CA|PURPOSE)|PATH_LENGTH)/;

/** `code`: of an error. */
export function isTlsFailure(code: string): boolean {
  return handshake.test(code);
}
