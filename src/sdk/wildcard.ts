export { isPattern, wildcard } from '../data/wildcard.ts';
