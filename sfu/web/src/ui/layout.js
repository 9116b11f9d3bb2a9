/** How large tiles are, in CSS pixels. */

const RATIO = 16 / 9;
const GAP = 8;
const MIN_TILE = 80;
/** Of the tiles beside a large one. */
const SMALL_TILE = { least: 120, most: 220, share: 0.2 };
/** Of the stage's height, what a large tile above the others may take. */
const LARGE_SHARE = 0.68;

/** The number of columns that gives `count` tiles of 16:9 the most room in `width` × `height`. */
function columnsFor(count, width, height) {
  let best = { columns: 1, tile: 0 };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const byWidth = (width - GAP * (columns - 1)) / columns;
    const byHeight = ((height - GAP * (rows - 1)) / rows) * RATIO;
    const tile = Math.min(byWidth, byHeight);
    if (tile > best.tile) best = { columns, tile };
  }
  return best;
}

/** All tiles alike, as large as fit. */
export function gridFor(count, width, height) {
  const { columns, tile } = columnsFor(count, width, height);
  const tileWidth = Math.max(MIN_TILE, Math.floor(tile));
  return {
    className: '',
    scrolls: tile > 0 && tile < MIN_TILE,
    style: { '--tile': `${tileWidth}px`, maxWidth: `${columns * tileWidth + (columns - 1) * GAP}px` },
  };
}

/** One of `count` tiles large (`large`, its width) and the others beside it, or on a tall stage below it. */
export function spotlightFor(count, width, height) {
  const { least, most, share } = SMALL_TILE;
  const small = Math.floor(Math.min(most, Math.max(least, width * share)));
  const beside = width > height;
  const large = Math.floor(
    beside ? Math.min(width - small - GAP, height * RATIO) : Math.min(width, height * LARGE_SHARE * RATIO),
  );
  return {
    className: `spotlit ${beside ? 'beside' : 'above'}`,
    scrolls: true,
    style: { '--tile': `${small}px`, '--large': `${large}px`, '--others': count - 1 },
    large,
  };
}
