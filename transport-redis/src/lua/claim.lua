-- Binds a group to an application, and answers to which one it is bound.
-- ARGV: group, application
return bind(ARGV[1], ARGV[2])
