#include "replay.h"

#include <string.h>

static uint64_t bit_of(int64_t index) { return (uint64_t)1 << (index & 63); }

static uint64_t word_of(int64_t index) { return (uint64_t)index % REPLAY_WINDOW / 64; }

void replay_begin(struct replay *replay) {
    memset(replay, 0, sizeof *replay);
    replay->highest = -1;
}

int64_t replay_estimate(const struct replay *replay, uint32_t sequence) {
    if (replay->highest < 0) return sequence;
    uint32_t ahead = (sequence - (uint32_t)replay->highest) & 0xFFFF;
    return replay->highest + (ahead < 0x8000 ? (int64_t)ahead : (int64_t)ahead - 0x10000);
}

int replay_admits(const struct replay *replay, int64_t index) {
    int64_t behind = replay->highest - index;
    if (behind < 0) return 1;
    return behind < REPLAY_WINDOW && index >= 0 && !(replay->seen[word_of(index)] & bit_of(index));
}

void replay_record(struct replay *replay, int64_t index) {
    int64_t first = replay->highest + 1;
    if (index - first >= REPLAY_WINDOW) {
        memset(replay->seen, 0, sizeof replay->seen);
        first = index;
    }
    for (int64_t passed = first; passed < index; passed++) replay->seen[word_of(passed)] &= ~bit_of(passed);
    replay->seen[word_of(index)] |= bit_of(index);
    if (index > replay->highest) replay->highest = index;
}
