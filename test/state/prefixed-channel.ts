/** Several clients over one process channel: every subject gets the client's name in front. */
import type { Channel } from '#src/state/channel.ts';

export function prefixChannel(channel: Channel, name: string): Channel {
  return {
    post: (subject, body) => channel.post(`${name}/${subject}`, body),
    on: (subject, listener) => channel.on(`${name}/${subject}`, listener),
    onClose: (listener) => channel.onClose(listener),
    [Symbol.dispose]: () => {},
  };
}
