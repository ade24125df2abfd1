/** The dictionaries by language: a language without one does not compile. */
import type { Language } from '../language.ts';
import type { Messages } from './dictionary.ts';
import { en } from './en.ts';
import { hr } from './hr.ts';
import { ru } from './ru.ts';

export const messages: Readonly<Record<Language, Messages>> = { en, ru, hr };
