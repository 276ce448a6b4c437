-- What compares values that may be NULL.

-- name: write_tape
UPDATE tapes SET size = :size, written = :written, seen = :seen, rewritten = :rewritten, restoring = :restoring, partial = :partial,
                 deleted = :deleted, doubted = :doubted, unseen = :unseen, state = :state
WHERE path = :path AND size IS :was_size AND written IS :was_written AND seen IS :was_seen AND rewritten IS :was_rewritten AND restoring IS :was_restoring
  AND partial IS :was_partial AND deleted IS :was_deleted AND doubted IS :was_doubted AND unseen IS :was_unseen
  AND migrated IS :migrated AND erased IS :erased AND restored IS :restored AND held IS :held
