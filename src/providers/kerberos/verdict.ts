/** What is said of one Kerberos token by whoever judges it: the library in this process, or a helper process. */
import type { TicketRejection } from '../../identity/outcome.ts';

/** Why no token can be judged at all, whoever sent it: for the operator to mend. */
export type Obstacle = 'module-missing' | 'keytab-unusable' | 'replay-store-unusable';

export type Verdict =
  | {
      readonly kind: 'accepted';
      /** As the library writes it: `alice@EXAMPLE.COM`, special characters escaped. */
      readonly principal: string;
      /** The entry of the keytab whose key fitted: `HTTP/wiki.example.com@EXAMPLE.COM`. */
      readonly service: string;
      /** Base64, for the client; not every mechanism has one. */
      readonly reply: string | undefined;
    }
  | {
      readonly kind: 'refused';
      readonly reason: TicketRejection;
      /** The library's words, for the log: printable and short, but partly chosen by the client. */
      readonly detail: string;
    }
  | { readonly kind: 'unable'; readonly obstacle: Obstacle; readonly detail: string };

/** Judges tokens that passed the inspection. */
export interface TicketJudge extends AsyncDisposable {
  /** Throws GatewayError PROVIDER_UNAVAILABLE when nobody can judge in time. */
  judge(token: string, signal: AbortSignal): Promise<Verdict>;
}
