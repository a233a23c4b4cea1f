/** The text that sets a terminal's pen: SGR attributes, protection (DECSCA) and hyperlink (OSC 8). */
import { ATTR, type Attributes } from './xterm-internals';

/** Default attributes, unprotected, no link. */
export const SGR_RESET = '\x1b[m';

/** Ends a hyperlink. */
export const LINK_END = '\x1b]8;;\x1b\\';

/** Underline styles go from 1, single, to 5, dashed. */
const UNDERLINE_STYLE_MAX = 5;

function colour(attributes: number, base: 38 | 48 | 58): string {
  const value = attributes & ATTR.colour;
  switch (attributes & ATTR.colourMode) {
    case ATTR.p16:
      if (base === 58) return `;58;5;${value & 0xff}`;
      return (value & 0xff) < 8 ? `;${base - 8 + (value & 0xff)}` : `;${base + 52 + (value & 0xff) - 8}`;
    case ATTR.p256:
      return `;${base};5;${value & 0xff}`;
    case ATTR.rgb:
      return `;${base};2;${(value >>> 16) & 0xff};${(value >>> 8) & 0xff};${value & 0xff}`;
    default:
      return '';
  }
}

/** The SGR sequence that sets exactly these attributes, from any state. */
export function sgr({ fg, bg, extended }: Attributes): string {
  let text = '0';
  if (fg & ATTR.fgBold) text += ';1';
  if (bg & ATTR.bgDim) text += ';2';
  if (bg & ATTR.bgItalic) text += ';3';
  if (fg & ATTR.fgUnderline) {
    // A link draws its own underline; the style that was set before it stays behind it.
    const style = extended.urlId === 0 ? extended.underlineStyle : (extended._ext >> 26) & 7;
    const isHidden = (bg & ATTR.bgHasExtended) !== 0 && style === 0 && extended.urlId === 0;
    if (!isHidden) text += style > 1 && style <= UNDERLINE_STYLE_MAX ? `;4:${style}` : ';4';
  }
  if (fg & ATTR.fgBlink) text += ';5';
  if (fg & ATTR.fgInverse) text += ';7';
  if (fg & ATTR.fgInvisible) text += ';8';
  if (fg & ATTR.fgStrikethrough) text += ';9';
  if (bg & ATTR.bgOverline) text += ';53';
  text += colour(fg, 38) + colour(bg, 48);
  if (bg & ATTR.bgHasExtended) text += colour(extended.underlineColor, 58);
  return text === '0' ? SGR_RESET : `\x1b[${text}m`;
}

/** Attributes and protection of a cell, from any state; a link that is open stays open. */
export function styleText(attributes: Attributes): string {
  return sgr(attributes) + (attributes.bg & ATTR.bgProtected ? '\x1b[1"q' : '');
}

type Links = { getLinkData(id: number): { id?: string; uri: string } | undefined };

/** The id of a cell's link; 0 when it has none. */
export function linkOf({ bg, extended }: Attributes, links: Links): number {
  return bg & ATTR.bgHasExtended && links.getLinkData(extended.urlId) ? extended.urlId : 0;
}

/** Begins the link with an id, or ends the one that is open. */
export function linkText(urlId: number, links: Links): string {
  const link = links.getLinkData(urlId);
  return link ? `\x1b]8;${link.id ? `id=${link.id}` : ''};${link.uri}\x1b\\` : LINK_END;
}

/** The whole pen of a cell, from any state without a link. */
export function penText(attributes: Attributes, links: Links): string {
  const urlId = linkOf(attributes, links);
  return styleText(attributes) + (urlId ? linkText(urlId, links) : '');
}
