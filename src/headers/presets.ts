/** The header names each preset gives to each fact about a person, as applications of that family expect them. */
import type { HeadersOptions } from './options.ts';

/** Header templates by name, in the order they are sent. */
export type HeaderTemplates = Readonly<Record<string, string>>;

export const presets: Record<HeadersOptions['preset'], HeaderTemplates> = {
  remote: {
    'Remote-User': '${username}',
    'Remote-Groups': '${groups}',
    'Remote-Name': '${displayName}',
    'Remote-Email': '${email}',
    'Remote-Roles': '${roles}',
  },
  authRequest: {
    'X-Auth-Request-User': '${username}',
    'X-Auth-Request-Groups': '${groups}',
    'X-Auth-Request-Email': '${email}',
    'X-Auth-Request-Preferred-Username': '${displayName}',
    'X-Auth-Request-Roles': '${roles}',
  },
  forwarded: {
    'X-Forwarded-User': '${username}',
    'X-Forwarded-Groups': '${groups}',
    'X-Forwarded-Email': '${email}',
    'X-Forwarded-Preferred-Username': '${displayName}',
    'X-Forwarded-Roles': '${roles}',
  },
};
