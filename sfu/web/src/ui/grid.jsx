import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { gridFor, spotlightFor } from './layout.js';
import { Sound, Tile } from './tile.jsx';
import { Watching } from './watching.js';
import { noteOf } from './words.js';

/** Who scrolled by hand is not scrolled away from there for so long. */
const HANDS_OFF_MS = 5000;

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

function useWatching(call) {
  const watching = useMemo(() => new Watching(call), [call]);
  useEffect(() => () => watching.close(), [watching]);
  return watching;
}

/** Scroll to who else leads the talk, where they are out of view and nobody is being looked for by hand. */
function useFollowing(stage, { activeSpeaker, userId }) {
  const touched = useRef(-Infinity);
  useEffect(() => {
    const { current } = stage;
    const busy = performance.now() - touched.current < HANDS_OFF_MS || current.contains(document.activeElement);
    if (!activeSpeaker || activeSpeaker === userId || busy) return;
    const tile = [...current.querySelectorAll('.tile.camera')].find(({ dataset }) => dataset.user === activeSpeaker);
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    tile?.scrollIntoView({ block: 'nearest', inline: 'nearest', behavior: calm ? 'auto' : 'smooth' });
  }, [activeSpeaker]);
  const touch = () => {
    touched.current = performance.now();
  };
  return { onWheel: touch, onTouchMove: touch, onPointerDown: touch, onKeyDown: touch };
}

/** Everybody's tiles, screens first. */
function tilesOf(call, user, tracks) {
  const others = [...call.participants.values()];
  const tiles = [];
  if (tracks.screen) tiles.push({ key: 'own-screen', name: 'You', kind: 'screen', track: tracks.screen, own: true });
  for (const person of others) {
    const { userId, username, screen, media } = person;
    if (!screen || !media.screen) continue;
    const note = noteOf(person, 'screen');
    tiles.push({ key: `${userId}-screen`, userId, name: username, kind: 'screen', track: media.screen, note });
  }
  tiles.push({
    key: 'own',
    name: `${user.username} (you)`,
    track: tracks.camera,
    muted: !tracks.microphone?.enabled,
    own: true,
    userId: call.userId,
  });
  for (const person of others) {
    const { userId, username, audio, video, speaking, media } = person;
    tiles.push({
      key: userId,
      userId,
      name: username,
      track: video ? media.camera : null,
      muted: !audio,
      speaking: speaking && audio,
      note: noteOf(person, 'camera'),
    });
  }
  return tiles;
}

/** Everybody who is there, in tiles as large as fit; or one of them large and the others beside it. */
export function Grid({ call, user, tracks }) {
  const element = useRef(null);
  const { width, height } = useSize(element);
  const watching = useWatching(call);
  const hands = useFollowing(element, call);
  // undefined: nothing was chosen, so a screen that somebody shares is large
  const [chosen, setChosen] = useState(undefined);

  const tiles = tilesOf(call, user, tracks);
  const wanted = chosen === undefined ? tiles.find(({ kind, own }) => kind === 'screen' && !own)?.key : chosen;
  const large = tiles.length > 1 ? tiles.find(({ key }) => key === wanted) : undefined;
  const layout = large ? spotlightFor(tiles.length, width, height) : gridFor(tiles.length, width, height);

  const choose = ({ key, userId, kind = 'camera' }) => {
    const shrinks = key === large?.key;
    setChosen(shrinks ? null : key);
    // who is made large is to be seen, also where there are more than the server gives unasked
    if (!shrinks) call.subscribe(userId, kind);
  };

  return (
    <div
      class={`stage ${layout.className}`}
      ref={element}
      {...hands}
      // by keyboard too, so it takes the focus
      {...(layout.scrolls && { role: 'region', 'aria-label': 'Everybody', tabIndex: 0 })}
    >
      <ul class="grid" aria-label="Participants" style={layout.style}>
        {tiles.map(({ key, ...tile }) => (
          <Tile
            key={key}
            {...tile}
            call={call}
            watching={watching}
            active={tile.kind !== 'screen' && !tile.muted && tile.userId === call.activeSpeaker}
            pinned={key === large?.key}
            width={key === large?.key ? layout.large : undefined}
            onPin={tiles.length > 1 ? () => choose({ key, ...tile }) : undefined}
          />
        ))}
      </ul>
      {[...call.participants.values()].flatMap(({ userId, media }) =>
        ['microphone', 'screen-audio']
          .filter((source) => media[source])
          .map((source) => <Sound key={`${userId}-${source}`} userId={userId} track={media[source]} />),
      )}
    </div>
  );
}
