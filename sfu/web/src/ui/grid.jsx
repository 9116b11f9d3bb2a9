import { useEffect, useRef, useState } from 'preact/hooks';
import { Sound, Tile } from './tile.jsx';

const RATIO = 16 / 9;
const GAP = 8;
const MIN_TILE = 80;

/** The number of columns that gives `count` tiles of 16:9 the most room in `width` × `height`. */
export function columnsFor(count, width, height) {
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

function useSize(element) {
  const [size, setSize] = useState({ width: 0, height: 0 });
  useEffect(() => {
    const observer = new ResizeObserver(([{ contentRect }]) =>
      setSize({ width: contentRect.width, height: contentRect.height }),
    );
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return size;
}

/** Everybody who is there, in tiles as large as fit; screens first. */
export function Grid({ call, user, tracks }) {
  const element = useRef(null);
  const { width, height } = useSize(element);
  const others = [...call.participants.values()];

  const tiles = [];
  if (tracks.screen) tiles.push({ key: 'own-screen', name: 'You', kind: 'screen', track: tracks.screen, own: true });
  for (const { userId, username, screen, media } of others)
    if (screen && media.screen)
      tiles.push({ key: `${userId}-screen`, userId, name: username, kind: 'screen', track: media.screen });
  tiles.push({
    key: 'own',
    name: `${user.username} (you)`,
    track: tracks.camera,
    muted: !tracks.microphone?.enabled,
    own: true,
    userId: call.userId,
  });
  for (const { userId, username, audio, video, speaking, media } of others)
    tiles.push({
      key: userId,
      userId,
      name: username,
      track: video ? media.camera : null,
      muted: !audio,
      speaking: speaking && audio,
    });

  const { columns, tile } = columnsFor(tiles.length, width, height);
  const tileWidth = Math.max(MIN_TILE, Math.floor(tile));
  const scrolls = tile > 0 && tile < MIN_TILE; // by keyboard too, so it takes the focus
  return (
    <div class="stage" ref={element} {...(scrolls && { role: 'region', 'aria-label': 'Everybody', tabIndex: 0 })}>
      <ul
        class="grid"
        aria-label="Participants"
        style={{ '--tile': `${tileWidth}px`, maxWidth: `${columns * tileWidth + (columns - 1) * GAP}px` }}
      >
        {tiles.map(({ key, ...props }) => (
          <Tile key={key} {...props} />
        ))}
      </ul>
      {others.flatMap(({ userId, media }) =>
        ['microphone', 'screen-audio']
          .filter((source) => media[source])
          .map((source) => <Sound key={`${userId}-${source}`} userId={userId} track={media[source]} />),
      )}
    </div>
  );
}
